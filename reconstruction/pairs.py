"""Which photos are matched with which: neighbours by position, by likeness and by time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError, cKDTree

from reconstruction.images import PhotoSet
from reconstruction.layout import Layout, lay_out
from reconstruction.likeness import alike_pairs
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage
from reconstruction.wording import counted

Pairs = NDArray[np.intp]

_EXHAUSTIVE_UP_TO = 40
_LEAST_OVERLAP = 0.1
_LEAST_NEIGHBOURS = 4
_CANDIDATES = 48
_ACROSS_LAYERS = 3
_LAYER_RATIO = 1.25
_LONG_EDGE = 3.0
_SEQUENCE = 2
_LEAST_SPREAD_M = 1.0
_LEAST_PLACED = 3
# Two searches with two thirds of the neighbours each find more than one with all of them.
_SHARED_SEARCH = 2.0 / 3.0


@dataclass(frozen=True)
class PairOptions:
    """Options of the stage.

    Parameters
    ----------
    neighbours : int
        How many neighbours each photo looks for.
    """

    neighbours: int = 12


@dataclass(frozen=True)
class PairList:
    """Pairs of photos to match.

    Parameters
    ----------
    pairs : tuple of (str, str)
        Photo names, sorted, the smaller name first.
    notes : tuple of str
        What a surveyor should know.
    """

    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``pairs.json`` into a folder."""
        values = {"pairs": self.pairs, "notes": self.notes}
        (folder / "pairs.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PairList:
        """The inverse of `save`."""
        values = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
        return cls(tuple((a, b) for a, b in values["pairs"]), tuple(values["notes"]))


def choose_pairs(photos: tuple[Photo, ...], options: PairOptions, run: Run) -> PairList:
    """Pairs of photos that probably show the same ground.

    Photos with plausible positions are paired by the overlap of their footprints. Where the
    height is not known, neither is the footprint: there nearness and likeness share the search.
    Photos without a position are paired with those that look alike, or with all in a small
    flight. Photos taken one after the other are always paired, since a position may be wrong.

    Parameters
    ----------
    photos : tuple of Photo
    options : PairOptions
    run : Run

    Returns
    -------
    PairList
    """
    layout = lay_out(photos)
    placed = layout.placed & (layout.spread_m >= _LEAST_SPREAD_M)
    if placed.sum() < _LEAST_PLACED:
        placed[:] = False
    blind = placed & np.isnan(layout.gsd_m)
    half = round(_SHARED_SEARCH * options.neighbours)
    near = half if 2 * blind.sum() > placed.sum() else options.neighbours
    found = [
        sequence_pairs(photos, _SEQUENCE),
        spatial_pairs(layout, np.flatnonzero(placed), near),
        _lost_pairs(photos, np.flatnonzero(~placed), options.neighbours, run.part(0.0, 0.5)),
        _alike(photos, np.flatnonzero(blind), half, run.part(0.5, 1.0)),
    ]
    names = [photo.name for photo in photos]
    both = {tuple(sorted((names[a], names[b]))) for a, b in np.concatenate(found) if a != b}
    return PairList(tuple(sorted((a, b) for a, b in both)), _notes(placed, blind))


def _notes(placed: NDArray[np.bool_], blind: NDArray[np.bool_]) -> tuple[str, ...]:
    notes = []
    if not placed.all():
        photos = counted(int(np.sum(~placed)), "photo was", "photos were")
        notes.append(f"{photos} paired by likeness, for want of a usable position")
    if blind.any():
        photos = counted(int(blind.sum()), "photo was", "photos were")
        notes.append(f"{photos} paired by position and by likeness, the height being unknown")
    return tuple(notes)


def _lost_pairs(
    photos: tuple[Photo, ...], lost: NDArray[np.intp], neighbours: int, run: Run
) -> Pairs:
    if len(photos) <= _EXHAUSTIVE_UP_TO:
        return _all_with(lost, len(photos))
    return _alike(photos, lost, neighbours, run)


def _alike(photos: tuple[Photo, ...], some: NDArray[np.intp], neighbours: int, run: Run) -> Pairs:
    if not len(some):
        return _as_pairs([])
    return alike_pairs([photo.path for photo in photos], some, neighbours, run)


def _all_with(some: NDArray[np.intp], count: int) -> Pairs:
    """Every pair that has one of some photos in it."""
    first, second = np.meshgrid(some, np.arange(count), indexing="ij")
    return np.column_stack((first.ravel(), second.ravel()))


def sequence_pairs(photos: tuple[Photo, ...], reach: int) -> Pairs:
    """Photos that were taken one after the other, up to ``reach`` steps apart.

    Photos follow one another within a camera body, by time, then by name.
    """
    order = sorted(
        range(len(photos)),
        key=lambda index: (
            photos[index].camera,
            photos[index].captured_at or "",
            photos[index].name,
        ),
    )
    pairs = [
        (first, second)
        for step in range(1, reach + 1)
        for first, second in zip(order, order[step:], strict=False)
        if photos[first].camera == photos[second].camera
    ]
    return _as_pairs(pairs)


def spatial_pairs(layout: Layout, placed: NDArray[np.intp], neighbours: int) -> Pairs:
    """Neighbours on the ground.

    Each photo takes those with the largest overlap, or the nearest where heights are not
    known. Dense strips alone would fill that list, so the edges of a Delaunay triangulation
    lead to the next strip; layers flown at another height get their own few; and a spanning
    tree leaves nobody alone.

    Parameters
    ----------
    layout : Layout
    placed : ndarray of int
        Photos to pair.
    neighbours : int

    Returns
    -------
    ndarray of int, shape (m, 2)
    """
    if len(placed) < 2:
        return _as_pairs([])
    candidates = _nearest(layout, placed, placed, _CANDIDATES)
    triangles = _triangle_edges(layout, placed)
    found = [
        _best(layout, candidates, neighbours),
        _plausible(layout, triangles),
        _spanning_tree(layout, np.concatenate((candidates, triangles))),
    ]
    layers = _layers(layout.height_m[placed])
    for layer in np.unique(layers):
        inside, outside = placed[layers == layer], placed[layers != layer]
        found.append(_best(layout, _nearest(layout, outside, inside, _CANDIDATES), _ACROSS_LAYERS))
    return np.concatenate(found)


def _nearest(layout: Layout, some: Pairs, others: Pairs, count: int) -> Pairs:
    """Pairs of some photos with those of the others whose footprints are nearest."""
    if not len(some) or not len(others):
        return _as_pairs([])
    tree = cKDTree(layout.centre[others])
    _, index = tree.query(layout.centre[some], k=range(1, min(count + 1, len(others)) + 1))
    pairs = np.column_stack((np.repeat(some, index.shape[1]), others[index.ravel()]))
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _cost(layout: Layout, pairs: Pairs) -> NDArray[np.float64]:
    """Below 1 for footprints that overlap, less for more; above 1 by distance."""
    overlap = layout.overlap(*pairs.T)
    distance_m = np.linalg.norm(layout.centre[pairs[:, 0]] - layout.centre[pairs[:, 1]], axis=1)
    far = 1.0 + distance_m / max(layout.spread_m, 1.0)
    return np.where(overlap >= _LEAST_OVERLAP, 1.0 - overlap, far)


def _best(layout: Layout, candidates: Pairs, count: int) -> Pairs:
    """The cheapest candidates of each photo: overlapping ones, and a few more if those lack."""
    cost = _cost(layout, candidates)
    order = np.lexsort((cost, candidates[:, 0]))
    pairs, cost = candidates[order], cost[order]
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
    known = np.isfinite(layout.gsd_m[pairs]).all(axis=1)
    few = min(count, _LEAST_NEIGHBOURS)
    return pairs[(rank < few) | ((rank < count) & ((cost < 1.0) | ~known))]


def _triangle_edges(layout: Layout, placed: Pairs) -> Pairs:
    """Edges of the Delaunay triangulation of the footprint centres."""
    try:
        simplices = Delaunay(layout.centre[placed]).simplices if len(placed) > 3 else []
    except QhullError:  # all in one line: the nearest ones span it
        simplices = []
    edges = [placed[simplices][:, sides] for sides in ([0, 1], [1, 2], [2, 0]) if len(simplices)]
    return np.concatenate([_as_pairs([]), *edges])


def _plausible(layout: Layout, edges: Pairs) -> Pairs:
    """Edges between photos that may overlap: not the long ones along the hull."""
    if not len(edges):
        return edges
    length_m = np.linalg.norm(layout.centre[edges[:, 0]] - layout.centre[edges[:, 1]], axis=1)
    short = length_m <= _LONG_EDGE * np.median(length_m)
    overlap = layout.overlap(*edges.T)
    return edges[np.where(np.isnan(overlap), short, overlap >= _LEAST_OVERLAP)]


def _spanning_tree(layout: Layout, edges: Pairs) -> Pairs:
    # Sparse matrices add up what is given twice.
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    size = len(layout.xy)
    # Zero would mean no edge.
    cost = np.maximum(_cost(layout, edges), 1e-6)
    tree = minimum_spanning_tree(coo_array((cost, edges.T), (size, size))).tocoo()
    return np.column_stack((tree.row, tree.col)).astype(np.intp)


def _layers(height_m: NDArray[np.float64]) -> NDArray[np.intp]:
    """Number of the flying height of each photo, split where heights leave a gap."""
    order = np.argsort(height_m)
    ordered = height_m[order]
    known = np.isfinite(ordered)
    gap = np.zeros(len(ordered), dtype=bool)
    gap[1:] = known[1:] & (ordered[1:] > _LAYER_RATIO * ordered[:-1])
    layers = np.empty(len(ordered), dtype=np.intp)
    layers[order] = np.cumsum(gap)
    return layers


def _as_pairs(pairs: Iterable[tuple[int, int]]) -> Pairs:
    return np.array(list(pairs), dtype=np.intp).reshape(-1, 2)


def _run(inputs: PhotoSet, options: PairOptions, folder: Path, run: Run) -> PairList:
    pairs = choose_pairs(inputs.photos, options, run)
    pairs.save(folder)
    return pairs


PAIRS: Stage[PhotoSet, PairOptions, PairList] = Stage("pairs", 1, 0.05, _run, PairList.load)
