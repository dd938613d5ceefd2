"""Identity: which pile of this survey is which of the one before, by what their toes share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from volumetrics.grid import Array
from volumetrics.toe import Toe

Kind = Literal[
    "unchanged", "moved", "grown", "shrunk", "split", "merged", "regrouped", "gone", "new"
]

# Toes that share less of the smaller one merely touch.
_TOUCHING = 0.1
_SAME_AREA = 0.1
# A centre that wandered by more of the radius is another place.
_MOVED = 0.25


@dataclass(frozen=True)
class Link:
    """What became of piles.

    Parameters
    ----------
    kind : str
        One pile of each survey is ``unchanged``, ``moved``, ``grown`` or ``shrunk``; one of the
        earlier and several of the later are ``split``, the other way round ``merged``, several of
        both ``regrouped``; ``gone`` and ``new`` have no counterpart.
    before, after : tuple of int
        Positions in the sequences of toes.
    confidence : float
        0 to 1: how far the shares are from those that would give another verdict.
    """

    kind: Kind
    before: tuple[int, ...]
    after: tuple[int, ...]
    confidence: float


def carry(before: Sequence[Toe], after: Sequence[Toe]) -> tuple[Link, ...]:
    """Follow piles from one survey to the next; people confirm what comes out.

    Parameters
    ----------
    before, after : sequence of Toe
        In one CRS.

    Returns
    -------
    tuple of Link
        Every toe is part of exactly one.
    """
    share = _shares(before, after)
    count = len(before)
    rows, cols = np.nonzero(share >= _TOUCHING)
    total = count + len(after)
    graph = csr_array((np.ones(len(rows)), (rows, cols + count)), shape=(total, total))
    _, label = connected_components(graph, directed=False)
    links = []
    for group in range(int(label.max(initial=-1)) + 1):
        members = np.flatnonzero(label == group)
        old, new = members[members < count], members[members >= count] - count
        links.append(
            Link(
                _kind([before[i] for i in old], [after[i] for i in new]),
                tuple(old.tolist()),
                tuple(new.tolist()),
                _confidence(share, old, new),
            )
        )
    return tuple(links)


def _shares(before: Sequence[Toe], after: Sequence[Toe]) -> Array:
    """Common area of each pair as a share of the smaller toe, shape (before, after)."""
    share = np.zeros((len(before), len(after)))
    tree = shapely.STRtree([toe.polygon for toe in after])
    for row, toe in enumerate(before):
        for col in tree.query(toe.polygon, predicate="intersects"):
            common_m2 = toe.polygon.intersection(after[col].polygon).area
            share[row, col] = common_m2 / min(toe.area_m2, after[col].area_m2)
    return share


def _kind(old: list[Toe], new: list[Toe]) -> Kind:
    if not old or not new:
        return "gone" if old else "new"
    if len(old) > 1 or len(new) > 1:
        return "split" if len(old) == 1 else "merged" if len(new) == 1 else "regrouped"
    (was,), (now,) = old, new
    ratio = now.area_m2 / was.area_m2
    if ratio > 1.0 + _SAME_AREA:
        return "grown"
    if ratio < 1.0 - _SAME_AREA:
        return "shrunk"
    wandered_m = was.polygon.centroid.distance(now.polygon.centroid)
    return "moved" if wandered_m > _MOVED * math.sqrt(was.area_m2 / math.pi) else "unchanged"


def _confidence(share: Array, old: np.ndarray, new: np.ndarray) -> float:
    """The weakest bond within the group, and the strongest that was cut around it."""
    inside = share[np.ix_(old, new)]
    bond = min((float(inside.max(axis=axis).min()) for axis in (0, 1) if inside.size), default=1.0)
    cut = np.concatenate((share[old].ravel(), share[:, new].ravel()))
    loose = float(cut[cut < _TOUCHING].max(initial=0.0)) / _TOUCHING
    return float(np.clip(min(bond, 1.0 - 0.5 * loose), 0.0, 1.0))
