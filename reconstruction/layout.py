"""Where the photos of a flight lie and what ground each of them covers, before any matching."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reconstruction.photo import Photo

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_EARTH_RADIUS_M = 6_371_000.0
# A footprint is drawn out to here; obliquer than that and it ends at the horizon.
_TILT_LIMIT_DEG = 50.0
_HEIGHT_RANGE_M = (3.0, 3000.0)
# A few photos this many typical spacings away from all others, and this many times as far out
# as three quarters of the flight, are not where they say.
_WILD_SPACINGS = 20.0
_WILD_EXTENTS = 3.0
_WILD_SHARE = 0.1
_TYPICAL_FOCAL = 0.8


@dataclass(frozen=True)
class Layout:
    """Footprints of the photos on level ground, local metres east and north.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Position of each photo; NaN where there is none.
    height_m : ndarray, shape (n,)
        Flying height above ground; NaN where nothing tells.
    gsd_m : ndarray, shape (n,)
        Ground size of a pixel in the middle of the photo; NaN where the height is not known.
    centre : ndarray, shape (n, 2)
        Middle of the footprint: shifted from ``xy`` where the camera looks obliquely.
    size_m : ndarray, shape (n, 2)
        Width and height of the footprint; NaN where the height is not known.
    yaw_rad : ndarray, shape (n,)
        Direction of the upper edge, clockwise from north; NaN where nothing tells.
    placed : ndarray of bool, shape (n,)
        Photos with a position that is not wild.
    wild : ndarray of bool, shape (n,)
        Photos whose position is far away from all the others.
    """

    xy: Array
    height_m: Array
    gsd_m: Array
    centre: Array
    size_m: Array
    yaw_rad: Array
    placed: Mask
    wild: Mask

    @cached_property
    def scaled(self) -> NDArray[np.intp]:
        """Indices of the placed photos whose ground size is known."""
        return np.flatnonzero(self.placed & np.isfinite(self.gsd_m))

    @cached_property
    def median_gsd_m(self) -> float | None:
        """None where no height is known."""
        return _known_median(self.gsd_m)

    @cached_property
    def median_height_m(self) -> float | None:
        """None where no height is known."""
        return _known_median(self.height_m)

    @cached_property
    def spread_m(self) -> float:
        """Diagonal of the area that the placed photos were taken over."""
        if not self.placed.any():
            return 0.0
        return float(np.hypot(*np.ptp(self.xy[self.placed], axis=0)))

    def overlap(
        self, first: NDArray[np.intp], second: NDArray[np.intp], enlarged: float = 1.0
    ) -> Array:
        """Share of the footprint that two photos have in common, for many pairs.

        Footprints are taken as rectangles of the mean size, turned as the first photo; where
        the yaw is not known, as squares of the same area.

        Parameters
        ----------
        first, second : ndarray of int, shape (m,)
        enlarged : float
            Factor on the size of the footprints.

        Returns
        -------
        ndarray, shape (m,)
            0 to 1; NaN where a footprint is not known.
        """
        yaw = self.yaw_rad[first]
        offset = self.centre[second] - self.centre[first]
        across = offset[:, 0] * np.cos(yaw) - offset[:, 1] * np.sin(yaw)
        along = offset[:, 0] * np.sin(yaw) + offset[:, 1] * np.cos(yaw)
        turned = np.abs(np.where(np.isnan(yaw)[:, None], offset, np.column_stack((across, along))))
        size = 0.5 * enlarged * (self.size_m[first] + self.size_m[second])
        square = np.sqrt(np.prod(size, axis=1, keepdims=True)) * np.ones(2)
        size = np.where(np.isnan(yaw)[:, None], square, size)
        return np.prod(np.clip(1.0 - turned / size, 0.0, 1.0), axis=1)


def lay_out(photos: tuple[Photo, ...]) -> Layout:
    """The layout of a flight from positions, angles, heights and focal lengths.

    Parameters
    ----------
    photos : tuple of Photo

    Returns
    -------
    Layout
    """
    xy = _local_metres(photos)
    height_m = np.array([_height_m(photo) for photo in photos])
    yaw_rad = np.deg2rad([_or_nan(photo.yaw_deg) for photo in photos])
    tilt_rad = np.deg2rad([_tilt_deg(photo) for photo in photos])
    focal_px = np.array([_focal_px(photo) for photo in photos])
    gsd_m = height_m / focal_px / np.cos(tilt_rad)
    shift = np.nan_to_num(height_m * np.tan(tilt_rad))
    ahead = np.column_stack((np.sin(yaw_rad), np.cos(yaw_rad)))
    sizes_px = np.array([(photo.width_px, photo.height_px) for photo in photos], dtype=np.float64)
    wild = _wild(xy)
    return Layout(
        xy=xy,
        height_m=height_m,
        gsd_m=gsd_m,
        centre=xy + np.nan_to_num(ahead) * shift[:, None],
        size_m=sizes_px * gsd_m[:, None],
        yaw_rad=yaw_rad,
        placed=np.isfinite(xy[:, 0]) & ~wild,
        wild=wild,
    )


def _known_median(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _height_m(photo: Photo) -> float:
    """Height above the take-off point stands for height above ground; nothing else is near."""
    height_m = _or_nan(photo.relative_altitude_m)
    return height_m if _HEIGHT_RANGE_M[0] < height_m < _HEIGHT_RANGE_M[1] else np.nan


def _tilt_deg(photo: Photo) -> float:
    """Angle between the viewing direction and the plumb line."""
    if photo.pitch_deg is None:
        return 0.0
    return float(np.clip(abs(photo.pitch_deg + 90.0), 0.0, _TILT_LIMIT_DEG))


def _focal_px(photo: Photo) -> float:
    return photo.focal_px or _TYPICAL_FOCAL * max(photo.width_px, photo.height_px)


def _local_metres(photos: tuple[Photo, ...]) -> Array:
    geodetic = np.array(
        [
            (photo.position.longitude_deg, photo.position.latitude_deg)
            if photo.position
            else (np.nan, np.nan)
            for photo in photos
        ]
    ).reshape(-1, 2)
    known = np.isfinite(geodetic[:, 0])
    if not known.any():
        return geodetic
    # From one of the photos first: at the date line longitudes have no median.
    offset = geodetic - geodetic[known][0]
    offset[:, 0] = (offset[:, 0] + 180.0) % 360.0 - 180.0
    offset -= np.median(offset[known], axis=0)
    shrink = np.cos(np.deg2rad(np.median(geodetic[known, 1])))
    return np.deg2rad(offset) * _EARTH_RADIUS_M * [shrink, 1.0]


def _wild(xy: Array) -> Mask:
    """Photos in small groups that lie far from the rest.

    Far in spacings alone would take dense strips for strangers to each other, far in extents
    alone the end of a long corridor.
    """
    wild = np.zeros(len(xy), dtype=bool)
    known = np.flatnonzero(np.isfinite(xy[:, 0]))
    if len(known) < 4:
        return wild
    tree = cKDTree(xy[known])
    nearest = tree.query(xy[known], k=4)[0]
    reach_m = _WILD_SPACINGS * max(float(np.median(nearest[:, 1:])), 1.0)
    edges = tree.query_pairs(reach_m, output_type="ndarray")
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(known), len(known)))
    group = connected_components(graph, directed=False)[1]
    alone = np.bincount(group)[group] < max(2.0, _WILD_SHARE * len(known))
    distance_m = np.linalg.norm(xy[known] - np.median(xy[known], axis=0), axis=1)
    far = distance_m > _WILD_EXTENTS * max(float(np.quantile(distance_m, 0.75)), reach_m)
    wild[known[alone & far]] = True
    return wild
