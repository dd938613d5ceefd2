"""Vertical datums: what elevations are counted from, and the geoid between two of them.

Photos of an RTK drone count from the ellipsoid, control points mostly from the sea. Tens of metres
lie between, and their slope tilts a site by centimetres; so the two are brought into one datum
with a geoid grid, or refused. Altitudes that are good to metres only bear no datum worth the name.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.crs import CompoundCRS
from pyproj.exceptions import CRSError
from pyproj.transformer import TransformerGroup

from reconstruction.control import Control
from reconstruction.errors import InputError
from reconstruction.photo import Photo
from reconstruction.wording import counted

Array = NDArray[np.float64]

ELLIPSOIDAL = "ellipsoidal"
UNKNOWN = "unknown"
_WGS84 = 4326
_WGS84_3D = 4979
# Coarser altitudes are shifted to the control points as a whole, whatever they count from.
_PRECISE_M = 1.0
_RULING_POINTS = 3


def in_one_datum(
    photos: tuple[Photo, ...], control: Control | None
) -> tuple[tuple[Photo, ...], tuple[str, ...]]:
    """Photos with their precise altitudes in the vertical datum of the control points.

    Parameters
    ----------
    photos : tuple of Photo
    control : Control or None

    Returns
    -------
    photos : tuple of Photo
    notes : tuple of str
        What was converted.

    Raises
    ------
    InputError
        When the two are in different datums and no geoid grid of PROJ leads from one to the other.
    """
    if control is None or len(control.control_points) < _RULING_POINTS:
        return photos, ()
    target = control.vertical_datum
    strangers = [photo for photo in photos if _counts_from_elsewhere(photo, target)]
    if not strangers:
        return photos, ()
    moved: dict[Photo, Photo] = {}
    for datum in sorted({photo.altitude_datum for photo in strangers}):
        group = [photo for photo in strangers if photo.altitude_datum == datum]
        moved |= dict(zip(group, _converted(group, datum, target), strict=True))
    source = ", ".join(sorted({_spoken(photo.altitude_datum) for photo in strangers}))
    return tuple(moved.get(photo, photo) for photo in photos), (
        f"The altitudes of {counted(len(strangers), 'photo', 'photos')} ({source}) were converted"
        f" to the vertical datum of the control points ({_spoken(target)}).",
    )


def _counts_from_elsewhere(photo: Photo, target: str) -> bool:
    position = photo.position
    return (
        position is not None
        and position.altitude_m is not None
        and position.vertical_sigma_m < _PRECISE_M
        and UNKNOWN not in (photo.altitude_datum, target)
        and photo.altitude_datum != target
    )


def _converted(photos: Sequence[Photo], source: str, target: str) -> list[Photo]:
    positions = [photo.position for photo in photos if photo.position]
    latitude = np.array([position.latitude_deg for position in positions])
    longitude = np.array([position.longitude_deg for position in positions])
    shift = ellipsoid_above_m(source, latitude, longitude)
    if shift is not None:
        back = ellipsoid_above_m(target, latitude, longitude)
        shift = None if back is None else shift - back
    if shift is None:
        raise InputError(
            f"The photos' altitudes are {_spoken(source)} and the control points'"
            f" {_spoken(target)}; no geoid grid is here that leads from one to the other.",
            f"Put the grid ({_grids(source, target)}) into the folder that PROJ_DATA names, give"
            " both in one datum, or write the control points' CRS without its vertical part to"
            " have the photos shifted to them as a whole.",
        )
    return [
        replace(
            photo,
            altitude_datum=target,
            position=replace(position, altitude_m=float(position.altitude_m or 0.0) + float(by)),
        )
        for photo, position, by in zip(photos, positions, shift, strict=True)
    ]


def ellipsoid_above_m(datum: str, latitude_deg: Array, longitude_deg: Array) -> Array | None:
    """What to add to elevations of a datum to count them from the WGS 84 ellipsoid.

    Parameters
    ----------
    datum : str
        ``ellipsoidal``, or the name of a vertical CRS such as ``EGM96 height``.
    latitude_deg, longitude_deg : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,), or None
        Metres; None where the datum is unknown or its geoid grid is not installed.
    """
    if datum == ELLIPSOIDAL:
        return np.zeros(len(latitude_deg))
    group = _to_ellipsoid(datum)
    if group is None or not group.best_available or not group.transformers:
        return None
    heights = group.transformers[0].transform(
        longitude_deg, latitude_deg, np.zeros(len(latitude_deg))
    )[2]
    return heights if np.isfinite(heights).all() else None


def _to_ellipsoid(datum: str) -> TransformerGroup | None:
    try:
        vertical = pyproj.CRS(datum)
        if not vertical.is_vertical:
            return None
        compound = CompoundCRS(datum, [pyproj.CRS(_WGS84), vertical])
    except CRSError:
        return None
    with warnings.catch_warnings():
        # It warns of a missing grid, of which the caller tells with a remedy.
        warnings.simplefilter("ignore", UserWarning)
        return TransformerGroup(compound, _WGS84_3D, always_xy=True, allow_ballpark=False)


def _grids(*datums: str) -> str:
    groups = [_to_ellipsoid(datum) for datum in datums if datum != ELLIPSOIDAL]
    names = {
        grid.short_name
        for group in groups
        if group is not None
        for operation in group.unavailable_operations
        for grid in operation.grids
        if not grid.available
    }
    return ", ".join(sorted(names)) or "of your country's geoid"


def _spoken(datum: str) -> str:
    return "above the ellipsoid" if datum == ELLIPSOIDAL else f"in {datum}"
