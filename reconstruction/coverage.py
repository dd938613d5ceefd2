"""How often the ground was photographed, from the footprints of a `Layout`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reconstruction.layout import Layout

_GRID = 96
_NEIGHBOURS = 24


@dataclass(frozen=True)
class Coverage:
    """What the footprints say about overlap.

    Parameters
    ----------
    best_overlap : ndarray, shape (k,)
        Largest share that each photo has in common with another one.
    group : ndarray of int, shape (k,)
        Number of the group of photos that overlaps hold together, 0 the largest.
    area_m2 : float
        Ground that at least one photo shows.
    median_views : float
        Photos that show a place of that ground, median.
    thin_fraction : float
        Share of the ground inside the flight lines that fewer than three photos show.
    """

    best_overlap: NDArray[np.float64]
    group: NDArray[np.intp]
    area_m2: float
    median_views: float
    thin_fraction: float


def measure_coverage(
    layout: Layout, known: NDArray[np.intp], least_overlap: float, enlarged: float = 1.0
) -> Coverage:
    """Overlaps and views on level ground.

    Parameters
    ----------
    layout : Layout
    known : ndarray of int
        Photos with a footprint, at least two.
    least_overlap : float
        Overlap that holds two photos together.
    enlarged : float
        Factor on the size of the footprints, for ground that may lie lower than assumed.

    Returns
    -------
    Coverage
    """
    count = len(known)
    tree = cKDTree(layout.centre[known])
    _, index = tree.query(layout.centre[known], k=range(1, min(_NEIGHBOURS + 1, count) + 1))
    first = np.repeat(np.arange(count), index.shape[1])
    second = index.ravel()
    first, second = first[first != second], second[first != second]
    overlap = layout.overlap(known[first], known[second], enlarged)
    best = np.zeros(count)
    np.maximum.at(best, first, overlap)
    held = overlap >= least_overlap
    graph = coo_array((np.ones(held.sum()), (first[held], second[held])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    by_size = np.argsort(-np.bincount(labels), kind="stable")
    views, cell_m2, inside = _views(layout, known)
    return Coverage(
        best_overlap=best,
        group=np.argsort(by_size)[labels],
        area_m2=float((views > 0).sum() * cell_m2),
        median_views=float(np.median(views[views > 0])) if views.any() else 0.0,
        thin_fraction=float(np.mean(views[inside] < 3)) if inside.any() else 1.0,
    )


def _views(
    layout: Layout, known: NDArray[np.intp]
) -> tuple[NDArray[np.intp], float, NDArray[np.bool_]]:
    """Views at the points of a grid over all footprints, a cell's area, and which of the points
    are inside the flight lines, that is nearer to a photo than a third of its footprint.
    """
    centre, size_m = layout.centre[known], layout.size_m[known]
    reach_m = 0.5 * np.hypot(*size_m.T)
    low = (centre - reach_m[:, None]).min(axis=0)
    span = (centre + reach_m[:, None]).max(axis=0) - low
    steps = (np.arange(_GRID) + 0.5) / _GRID
    points = np.column_stack(
        [axis.ravel() for axis in np.meshgrid(*(low + span * steps[:, None]).T)]
    )
    views = np.zeros(len(points), dtype=np.intp)
    inside = np.zeros(len(points), dtype=bool)
    yaw = np.nan_to_num(layout.yaw_rad[known])
    for place, size, angle in zip(centre, size_m, yaw, strict=True):
        offset = points - place
        across = offset[:, 0] * np.cos(angle) - offset[:, 1] * np.sin(angle)
        along = offset[:, 0] * np.sin(angle) + offset[:, 1] * np.cos(angle)
        views += (np.abs(across) < 0.5 * size[0]) & (np.abs(along) < 0.5 * size[1])
        inside |= np.hypot(across, along) < size.min() / 3.0
    return views, float(np.prod(span) / _GRID**2), inside
