"""Bases that follow the toe up and down: triangles between toe points, or a thin plate over them.

Both follow means of neighbouring toe samples. Where the toe gives no ground (walls, holes),
the plane through the rest stands in for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist

from volumetrics.base_surface import BaseSurface, fit_toe_plane, thin
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.tin import triangle_of_cells
from volumetrics.toe import ToeSamples

_TIN_POINTS = 400
_CHOICES, _CHOICE_POINTS = 12, 150
_PLATE_POINTS = 80
# Smoothing per point, for a toe of unit size: waves down to an eighth of the toe are followed.
# An exact plate turns the noise between neighbouring points into slopes across the toe, and those
# into a volume several times less certain.
_PLATE_SMOOTHING = 1.25e-4
_PLATE_NODES = 40


@dataclass(frozen=True)
class Triangulated:
    """Triangles between the points of the toe (Delaunay)."""

    name: str = "triangulated"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Fit the triangles; see `volumetrics.base_surface.BaseMethod`."""
        plane = fit_toe_plane(samples)
        position, elevation, group = thin(samples, _TIN_POINTS)
        # The plane carries the corners of the grid, so that every cell lies in some triangle.
        corners = _corners(grid)
        points = np.vstack((position, corners))
        triangles = Delaunay(points - points.mean(axis=0)).simplices.astype(np.int64)
        triangle_of = triangle_of_cells(grid, points, triangles)
        heights = np.concatenate((elevation, plane.at(corners)))
        # Barycentric weight of corner k in a triangle is to_weights[:, k] . (1, x, y).
        corner_design = np.concatenate(
            (np.ones((len(triangles), 3, 1)), points[triangles] - plane.centre_m), axis=2
        )
        to_weights = np.linalg.inv(corner_design)
        facets = np.einsum("tik,tk->ti", to_weights, heights[triangles])
        x, y = grid.x_m() - plane.centre_m[0], grid.y_m() - plane.centre_m[1]
        facet = facets[triangle_of]
        surface = facet[..., 0] + facet[..., 1] * x[None, :] + facet[..., 2] * y[:, None]
        members = np.bincount(group)

        def toe_weights(load: Array) -> Array:
            moments = _moments(load, triangle_of, x, y, len(triangles))
            by_corner = np.einsum("tik,ti->tk", to_weights, moments)
            by_point = np.bincount(
                triangles.ravel(), weights=by_corner.ravel(), minlength=len(points)
            )
            own, carried = by_point[: len(position)], by_point[len(position) :]
            return np.asarray(
                (own / members)[group] + carried @ plane.design(corners) @ plane.shares
            )

        chance = _choice_sigma_m(*thin(samples, _CHOICE_POINTS)[:2], noise)
        return BaseSurface(self.name, surface, toe_weights, chance, facts=plane.facts())


def _choice_sigma_m(position: Array, elevation: Array, noise: DsmNoise) -> float:
    """1 sigma of the mean level of the triangles by the choice of triangles.

    The points of a round toe nearly lie on a circle, and of those Delaunay's rule takes now these,
    now those diagonals right across the pile. Points that are moved by half their distance tell
    how much that matters on this ground, less what the noise of the points adds to it.
    """
    step_m = np.median(np.hypot(*np.diff(position, axis=0).T))
    moves = np.random.default_rng(0).standard_normal((_CHOICES, *position.shape))
    place = position - position.mean(axis=0)
    shares = np.zeros((_CHOICES, len(place)))
    for share, move in zip(shares, 0.5 * step_m * moves, strict=True):
        triangles = Delaunay(place + move).simplices
        a, b, c = (place[triangles[:, k]] for k in range(3))
        area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
        np.add.at(share, triangles, (area / (3.0 * area.sum()))[:, None])
    shares -= shares.mean(axis=0)
    by_noise = np.einsum("ki,ij,kj->", shares, noise.covariance(cdist(place, place)), shares)
    variance = np.sum((shares @ (elevation - elevation.mean())) ** 2) - by_noise
    return math.sqrt(max(0.0, float(variance)) / (_CHOICES - 1))


def _corners(grid: Grid) -> Array:
    """Corners of the grid, a little outside of it, shape (4, 2)."""
    rows, cols = grid.elevation_m.shape
    reach = 2.0 * grid.cell_size_m
    west, east = grid.west_m - reach, grid.west_m + cols * grid.cell_size_m + reach
    north, south = grid.north_m + reach, grid.north_m - rows * grid.cell_size_m - reach
    return np.array([[west, north], [east, north], [east, south], [west, south]])


@numba.njit(cache=True, nogil=True)
def _moments(
    load: Array, triangle_of: NDArray[np.int32], x: Array, y: Array, count: int
) -> Array:  # pragma: no cover - compiled
    """Sums of load, load·x and load·y in every triangle, shape (count, 3)."""
    moments = np.zeros((count, 3))
    for row in range(load.shape[0]):
        for col in range(load.shape[1]):
            value = load[row, col]
            if value != 0.0:
                t = triangle_of[row, col]
                moments[t, 0] += value
                moments[t, 1] += value * x[col]
                moments[t, 2] += value * y[row]
    return moments


@dataclass(frozen=True)
class Smooth:
    """The thin plate of least bending near the points of the toe.

    References
    ----------
    Wahba, G. (1990): Spline Models for Observational Data, section 2.4.
    """

    name: str = "smooth"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Fit the plate; see `volumetrics.base_surface.BaseMethod`."""
        plane = fit_toe_plane(samples)
        position, elevation, group = thin(samples, _PLATE_POINTS)
        x_node, y_node = _nodes(grid.x_m()), _nodes(grid.y_m()[::-1])[::-1]
        node = np.column_stack([axis.ravel() for axis in np.meshgrid(x_node, y_node)])
        gain = _plate(plane.design(position)[:, 1:], plane.design(node)[:, 1:])
        # Bilinear between the nodes: the plate is smooth at that scale.
        col = _interpolation(grid.x_m(), x_node)
        row = _interpolation(grid.y_m(), y_node)
        at_nodes = (gain @ elevation).reshape(len(y_node), len(x_node))
        members = np.bincount(group)

        def toe_weights(load: Array) -> Array:
            by_node = row.T @ load @ col
            return np.asarray(((by_node.ravel() @ gain) / members)[group])

        return BaseSurface(self.name, row @ at_nodes @ col.T, toe_weights, facts=plane.facts())


def _nodes(centres_m: Array) -> Array:
    return np.linspace(centres_m[0], centres_m[-1], min(centres_m.size, _PLATE_NODES))


def _interpolation(at: Array, nodes: Array) -> Array:
    """Linear interpolation matrix, shape (at.size, nodes.size)."""
    matrix = np.zeros((at.size, nodes.size))
    if nodes.size == 1:
        matrix[:, 0] = 1.0
        return matrix
    position = (at - nodes[0]) / (nodes[1] - nodes[0])
    left = np.clip(position.astype(np.int64), 0, nodes.size - 2)
    share = position - left
    each = np.arange(at.size)
    matrix[each, left] = 1.0 - share
    matrix[each, left + 1] = share
    return matrix


def _plate(position: Array, target: Array) -> Array:
    """Smoothing thin-plate matrix from points (n, 2) to targets (m, 2), shape (m, n)."""
    scale = float(np.abs(position).max())
    position, target = position / scale, target / scale
    count = len(position)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(position, position)
    system[np.arange(count), np.arange(count)] += _PLATE_SMOOTHING * count
    system[:count, count] = system[count, :count] = 1.0
    system[:count, count + 1 :] = position
    system[count + 1 :, :count] = position.T
    right = np.zeros((count + 3, count))
    right[:count] = np.eye(count)
    coefficients = np.linalg.solve(system, right)
    basis = np.column_stack((_kernel(target, position), np.ones(len(target)), target))
    return np.asarray(basis @ coefficients)


def _kernel(a: Array, b: Array) -> Array:
    """The thin plate's r² log r, shape (m, n)."""
    square = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(0.5 * square * np.log(np.maximum(square, 1e-30)))
