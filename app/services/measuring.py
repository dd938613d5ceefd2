"""Measuring: toes and bases as the application keeps them, volumes as `volumetrics` finds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import current_app

from app.errors import InvalidInput, NotFound
from app.models import MaterialValue
from app.outline import MAX_VERTICES, Base, Outline

if TYPE_CHECKING:
    from volumetrics.base_surface import BaseMethod
    from volumetrics.cutter import Cutter
    from volumetrics.surface_base import SurfaceBase
    from volumetrics.survey import Survey as Surface
    from volumetrics.toe import Toe

# 1 sigma of a line that somebody drew on the model or on the orthomosaic.
TOE_SIGMA_M = 0.1
# The noise of a surface is learnt around a toe: around all places of its box alike on so wide a
# lattice, so that a dragged toe is measured as it will be when it is saved.
_AROUND_M = 10.0
_LEVEL = ("lowest", "highest", "average", "fixed")
# Folder of a survey's surface, and when that was written.
Version = tuple[Path, int]


@dataclass(frozen=True)
class Measured:
    """A measured pile.

    Parameters
    ----------
    document : dict
        As `volumetrics.io.pile_document`.
    base_plane : dict or None
        The base as a plane, where it is one.
    """

    document: dict[str, Any] = field(default_factory=dict)
    base_plane: dict[str, float] | None = None


def surface(survey_id: UUID) -> Surface:
    """The surface of a survey.

    Raises
    ------
    NotFound
        When the survey has none yet.
    """
    return _open(*_version(survey_id))


def measure(
    survey_id: UUID,
    name: str,
    outline: Outline,
    base: Base,
    material: MaterialValue | None = None,
    *,
    compares_bases: bool = True,
) -> Measured:
    """Measure a pile; nothing is saved.

    Parameters
    ----------
    survey_id : UUID
    name : str
    outline : Outline
    base : Base
    material : MaterialValue, optional
    compares_bases : bool
        Whether to tell, and to warn of, what the other bases find. A toe that is being dragged does
        without: that takes longer, and the volume and its ± are the same.

    Raises
    ------
    InvalidInput
        When the toe or the base does not fit, with the place.
    NotFound
        When the survey, or the survey that is its base, has no surface.
    """
    from volumetrics.errors import VolumetricsError
    from volumetrics.io import pile_document
    from volumetrics.site import measure_site

    version = _version(survey_id)
    try:
        toe = toe_of(name, outline, material)
        around_m = _around(toe.polygon.bounds)
        method = _method(base, version, around_m)
        cut = _cutter(*version, around_m)
        site = measure_site(cut, [toe], method, compares_methods=compares_bases)
    except VolumetricsError as error:
        raise InvalidInput(str(error), field="toe") from error
    if site.refused:
        raise InvalidInput(site.refused[name], field="toe")
    document = pile_document(site.volumes[0]) | {"software": software()}
    return Measured(document, _plane(document, outline))


def toe_of(name: str, outline: Outline, material: MaterialValue | None = None) -> Toe:
    """The toe as `volumetrics` takes it.

    Raises
    ------
    InvalidInput
        When there are too few or too many vertices.
    volumetrics.errors.ToeError
        When the polygon crosses itself, with the place.
    """
    import numpy as np
    import shapely

    from volumetrics.density import Material
    from volumetrics.toe import Toe, clean, wall_lines

    count = sum(len(ring) for ring in outline.coordinates)
    if count > MAX_VERTICES:
        raise InvalidInput(
            f"The toe has {count} vertices.", f"Draw it with at most {MAX_VERTICES}.", field="toe"
        )
    rings = [np.asarray(ring, dtype=float)[:, :2] for ring in outline.coordinates]
    if not rings or any(len(np.unique(ring, axis=0)) < 3 for ring in rings):
        raise InvalidInput(
            "A toe needs at least three different vertices.",
            "Click further points along the foot of the pile.",
            field="toe",
        )
    open_ring = rings[0][:-1] if (rings[0][0] == rings[0][-1]).all() else rings[0]
    walls = wall_lines(open_ring, [[edge, (edge + 1) % len(open_ring)] for edge in outline.walls])
    polygon, notes = clean(shapely.Polygon(rings[0], rings[1:]))
    known = None
    if material is not None:
        known = Material(
            material.density_t_m3,
            material.density_sigma_t_m3,
            material.moisture_share,
            material.moisture_sigma,
        )
    return Toe(name, polygon, walls, known, notes)


def software() -> str:
    """Name and version of what measures."""
    from volumetrics import __version__

    return f"volumetrics {__version__}"


def _version(survey_id: UUID) -> Version:
    """Folder of a survey's surface, and when that was written."""
    path = current_app.extensions["cairn_storage"].on_disk(survey_id) / "dsm.tif"
    if not path.is_file():
        raise NotFound("The survey has no surface yet.", "Wait until its processing is done.")
    return path.parent, path.stat().st_mtime_ns


@lru_cache(maxsize=64)
def _open(folder: Path, _changed_ns: int) -> Surface:
    from volumetrics.survey import open_survey

    return open_survey(folder)


def _around(bounds_m: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Bounds widened to the lattice on which the noise is learnt."""
    west, south, east, north = (bound_m / _AROUND_M for bound_m in bounds_m)
    lattice = (math.floor(west), math.floor(south), math.ceil(east), math.ceil(north))
    return tuple(_AROUND_M * line for line in lattice)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def _cutter(folder: Path, changed_ns: int, around_m: tuple[float, float, float, float]) -> Cutter:
    """What cuts piles within these bounds out of a surface; to learn its noise takes a while."""
    import shapely

    from volumetrics.cutter import cutter
    from volumetrics.toe import Toe

    around = Toe("around", shapely.box(*around_m))
    return cutter(_open(folder, changed_ns), [around], TOE_SIGMA_M)


@lru_cache(maxsize=256)
def _survey_base(
    earlier: Version, later: Version, around_m: tuple[float, float, float, float]
) -> SurfaceBase:
    """An earlier survey as the base, with the later one laid onto it outside of these bounds."""
    import shapely

    from volumetrics.site_change import survey_base
    from volumetrics.toe import Toe

    around = Toe("around", shapely.box(*around_m))
    return survey_base(_open(*earlier), _open(*later), [around], TOE_SIGMA_M)


def _method(
    base: Base, version: Version, around_m: tuple[float, float, float, float]
) -> BaseMethod:
    from volumetrics.base_surface import Plane
    from volumetrics.extreme_base import Extreme
    from volumetrics.flexible_base import Smooth, Triangulated
    from volumetrics.level_base import Average, Fixed
    from volumetrics.surface_base import SurfaceBase

    plain: dict[str, BaseMethod] = {
        "plane": Plane(),
        "triangulated": Triangulated(),
        "smooth": Smooth(),
        "lowest": Extreme(is_lowest=True),
        "highest": Extreme(is_lowest=False),
        "average": Average(),
    }
    if base.method in plain:
        return plain[base.method]
    if base.method == "fixed":
        if base.elevation_m is None:
            raise InvalidInput(
                "The fixed base has no elevation.", "Give it in metres.", field="base.elevation_m"
            )
        return Fixed(base.elevation_m)
    if base.survey_id is None:
        raise InvalidInput(
            f"The base {base.method!r} names no survey.", "Choose one.", field="base.survey_id"
        )
    if base.method == "survey":
        return _survey_base(_version(base.survey_id), version, around_m)
    return SurfaceBase(base.method, surface(base.survey_id))


def _plane(document: dict[str, Any], outline: Outline) -> dict[str, float] | None:
    facts, base = document["base_facts"], document["base"]
    if base == "plane":
        return {
            "e0": facts["centre_east_m"],
            "n0": facts["centre_north_m"],
            "z0": facts["centre_elevation_m"],
            "dz_de": facts["slope_east"],
            "dz_dn": facts["slope_north"],
        }
    if base in _LEVEL:
        east, north = outline.coordinates[0][0][:2]
        level = {"e0": east, "n0": north, "z0": facts["base_elevation_m"]}
        return level | {"dz_de": 0.0, "dz_dn": 0.0}
    return None
