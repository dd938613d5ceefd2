"""All files of a site's piles in one folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from volumetrics.files.datum import spatial_crs
from volumetrics.files.dxf import write_dxf
from volumetrics.files.geojson import write_geojson
from volumetrics.files.geopackage import write_geopackage
from volumetrics.files.page import write_page
from volumetrics.files.raster import write_height_above_base
from volumetrics.files.relief import Relief
from volumetrics.io import table_row
from volumetrics.survey import Survey

KINDS = ("geojson", "dxf", "gpkg", "raster", "pages")


def write_files(
    kinds: Collection[str],
    folder: Path,
    reliefs: Iterable[Relief],
    survey: Survey,
    about: dict[str, Any],
) -> None:
    """Write the chosen files: those of all piles, and in ``piles/`` those of each pile.

    Parameters
    ----------
    kinds : collection of str
        Of `KINDS`.
    folder : Path
    reliefs : iterable of Relief
        Taken one at a time, so that the cells of only one pile are in memory.
    survey : Survey
    about : dict
        What was measured and with what, as in ``volumes.json``.
    """
    crs = spatial_crs(survey)
    toes, drawings = [], []
    for number, relief in enumerate(reliefs, start=1):
        stem = folder / "piles" / file_stem(number, relief.volume.pile)
        if "raster" in kinds:
            write_height_above_base(_with(stem, "_height_above_base.tif"), relief, crs)
        if "pages" in kinds:
            write_page(stem, relief, survey, about)
        drawings.append(relief.drawing())
        toes.append((relief.toe, table_row(relief.volume)))
    if "geojson" in kinds:
        write_geojson(folder / "piles.geojson", toes, survey.crs)
    if "dxf" in kinds:
        write_dxf(folder / "piles.dxf", drawings)
    if "gpkg" in kinds:
        write_geopackage(folder / "piles.gpkg", drawings, crs)


def file_stem(number: int, pile: str) -> str:
    """A name for a pile's files that every file system takes, unique by its number.

    >>> file_stem(3, "Gravel 16/32 (wet)")
    '03_gravel_16_32_wet'
    """
    plain = unicodedata.normalize("NFKD", pile).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    return "_".join([f"{number:02d}", *words])[:80]


def _with(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)
