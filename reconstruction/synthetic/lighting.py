"""Sunlight on the terrain grid: slope shading, cast shadows, open sky."""

from __future__ import annotations

import cv2
import numba
import numpy as np

from reconstruction.synthetic.grid import Raster

SUN_AZIMUTH_DEG = 148.0
SUN_ELEVATION_DEG = 47.0
_SUN = 1.0
_SKY = 0.30


def sunlight(surface: Raster, cell_m: float) -> Raster:
    """Light per node, 1 on level ground in the sun.

    Parameters
    ----------
    surface : ndarray of float32, shape (rows, cols)
        Elevations, row 0 in the south.
    cell_m : float
    """
    azimuth, elevation = np.deg2rad(SUN_AZIMUTH_DEG), np.deg2rad(SUN_ELEVATION_DEG)
    east = cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3, scale=1.0 / (8.0 * cell_m))
    north = cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3, scale=1.0 / (8.0 * cell_m))
    sun_east = np.float32(np.cos(elevation) * np.sin(azimuth))
    sun_north = np.float32(np.cos(elevation) * np.cos(azimuth))
    length = np.sqrt(1.0 + east * east + north * north)
    facing = (np.float32(np.sin(elevation)) - east * sun_east - north * sun_north) / length
    lit = 1.0 - cast_shadow(surface, cell_m, azimuth, np.tan(elevation))
    cavity = _mean_around(surface, 0.5 / cell_m) - surface
    hollow = _mean_around(surface, 2.0 / cell_m) - surface
    open_sky = np.clip(1.0 - 0.8 * cavity - 0.25 * hollow, 0.35, 1.15)
    light = _SUN * np.maximum(facing, 0.0) * lit + _SKY * open_sky * (0.5 + 0.5 / length)
    return np.asarray(light / (_SUN * np.sin(elevation) + _SKY), dtype=np.float32)


def _mean_around(surface: Raster, sigma: float) -> Raster:
    """Gaussian mean, computed on a grid of a quarter of the size."""
    size = (-(-surface.shape[1] // 4), -(-surface.shape[0] // 4))
    small = cv2.resize(surface, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4.0)
    return np.asarray(cv2.resize(small, surface.shape[::-1], interpolation=cv2.INTER_LINEAR))


def cast_shadow(surface: Raster, cell_m: float, azimuth_rad: float, rise: float) -> Raster:
    """Share of the sun that is hidden at each node, 0 to 1.

    Parameters
    ----------
    surface : ndarray of float32, shape (rows, cols)
    cell_m : float
    azimuth_rad : float
        Direction of the sun, clockwise from north.
    rise : float
        Tangent of its elevation.
    """
    dx, dy = np.sin(azimuth_rad), np.cos(azimuth_rad)
    if abs(dy) >= abs(dx):
        field, along, across = surface, dy, dx
    else:
        field, along, across = np.ascontiguousarray(surface.T), dx, dy
    toward_end = along > 0.0
    if toward_end:
        field = np.ascontiguousarray(field[::-1])
    # From each line to the next one away from the sun.
    shift = across / abs(along)
    drop = rise * cell_m / abs(along)
    hidden = _sweep(field, np.float32(shift), np.float32(drop), np.float32(0.06))
    if toward_end:
        hidden = hidden[::-1]
    return np.ascontiguousarray(hidden if abs(dy) >= abs(dx) else hidden.T)


@numba.njit(cache=True, nogil=True)
def _sweep(field, shift, drop, blur_m):  # type: ignore[no-untyped-def]
    """Carry the height of the shadow from line to line, starting on the sunny side."""
    rows, cols = field.shape
    hidden = np.zeros_like(field)
    edge = field[0].copy()
    new_edge = edge.copy()
    for row in range(1, rows):
        for col in range(cols):
            at = col + shift
            left = int(np.floor(at))
            part = at - left
            left = min(max(left, 0), cols - 1)
            right = min(left + 1, cols - 1)
            shadow = (1.0 - part) * edge[left] + part * edge[right] - drop
            depth = (shadow - field[row, col]) / blur_m
            hidden[row, col] = min(max(depth, 0.0), 1.0)
            new_edge[col] = max(shadow, field[row, col])
        edge, new_edge = new_edge, edge
    return hidden
