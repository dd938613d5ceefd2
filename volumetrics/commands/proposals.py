"""What the commands that propose have in common: nothing counts before somebody confirmed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from volumetrics.errors import InputError, ToeError
from volumetrics.files.geojson import write_geojson
from volumetrics.grid import Grid
from volumetrics.survey import Survey
from volumetrics.toe import Toe

HINT = 'Look at each line on the orthomosaic, correct it, set "confirmed" to true; then measure.'


def windows(
    survey: Survey, toes: Iterable[Toe], margin_m: float, refused: dict[str, str]
) -> Iterator[tuple[Toe, Grid]]:
    """Each toe with the surface around it; ``refused`` gets those that have none, and why."""
    for toe in toes:
        try:
            grid = survey.window(toe.polygon.bounds, margin_m)
        except ToeError as error:
            refused[toe.name] = str(error)
            continue
        yield toe, grid


def write_proposals(
    path: Path, found: Iterable[tuple[Toe, dict[str, Any]]], survey: Survey, *inputs: Path
) -> None:
    """Write polygons as GeoJSON that measuring refuses until they are confirmed.

    Raises
    ------
    InputError
        When the file is one of the inputs.
    """
    if any(path.resolve() == other.resolve() for other in inputs):
        raise InputError(f"{path} would be written over.", "Name another file with --out.")
    marked = [(toe, {**more, "confirmed": False}) for toe, more in found]
    write_geojson(path, marked, survey.crs)
