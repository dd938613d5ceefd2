"""Coordinate reference systems in which a cell's area times its elevation is a volume."""

from __future__ import annotations

import pyproj

from volumetrics.errors import InputError

# Mean radius of the Earth; its curvature differs by half a percent of itself from place to place.
_EARTH_M = 6_371_000.0
# UTM and national grids change areas by 0.1 % at the most.
_MAX_AREA_ERROR = 0.01


def parse_crs(name: str) -> pyproj.CRS:
    """A CRS by its name.

    Raises
    ------
    InputError
        When it is unknown.
    """
    try:
        return pyproj.CRS.from_user_input(name)
    except pyproj.exceptions.CRSError as error:
        raise InputError(f"{name!r} is no known CRS.", "Use a code like EPSG:32615.") from error


def check_metres(crs: pyproj.CRS, place_m: tuple[float, float]) -> None:
    """Refuse a CRS in which a cell's area times its elevation is not cubic metres.

    Parameters
    ----------
    crs : pyproj.CRS
    place_m : tuple of float
        Easting and northing of the site.

    Raises
    ------
    InputError
        For a geographic CRS, for one with an axis in another unit than the metre, and for one that
        distorts areas, as web maps do.
    """
    if crs.is_geographic or crs.is_geocentric:
        raise InputError(
            f"The surface is in {crs.name}, in degrees or without a horizontal plane.",
            "Warp it to a projected CRS in metres first, e.g. the fitting UTM zone with gdalwarp.",
        )
    for axis in crs.axis_info:
        if abs(axis.unit_conversion_factor - 1.0) > 1e-9:
            raise InputError(
                f"The axis {axis.name!r} of {crs.name} is in {axis.unit_name}, not in metres.",
                "Warp the surface to a CRS in metres and convert its elevations too: horizontal "
                "and vertical units are converted separately.",
            )
    if crs.is_projected:
        _check_areas(crs, place_m)


def ground_excess(crs: pyproj.CRS, place_m: tuple[float, float], elevation_m: float) -> float:
    """How much larger a volume is on the ground than on the map, as a share of it.

    The map shows areas of the ellipsoid with its areal scale; higher up they are larger, as they
    are farther from the Earth's centre. Heights and differences of heights are the same.

    Parameters
    ----------
    crs : pyproj.CRS
    place_m : tuple of float
        Easting and northing.
    elevation_m : float
        Of the pile.
    """
    higher = (1.0 + elevation_m / _EARTH_M) ** 2
    return higher / _areal_scale(crs, place_m) - 1.0 if crs.is_projected else 0.0


def _areal_scale(crs: pyproj.CRS, place_m: tuple[float, float]) -> float:
    projection = pyproj.Proj(crs.to_2d())
    longitude, latitude = projection(*place_m, inverse=True)
    return float(projection.get_factors(longitude, latitude).areal_scale)


def _check_areas(crs: pyproj.CRS, place_m: tuple[float, float]) -> None:
    area = _areal_scale(crs, place_m)
    # Infinite where the place lies outside of what the projection can show.
    if not abs(area - 1.0) < _MAX_AREA_ERROR:
        raise InputError(
            f"{crs.name} shows areas here {area:.3g} times their size.",
            "Warp the surface to the fitting UTM zone or the national grid first, with gdalwarp.",
        )
