"""Cross-sections of a pile: surface and base along a line, each with its ±."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from volumetrics.files.relief import Relief
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.uncertainty import NORMAL_95

_MOST_POINTS = 600
# The ± of a base changes slowly along a line.
_NODES = 15
# So many samples have a covariance matrix that fits; more are taken together by neighbours.
_MOST_SAMPLES = 1200


@dataclass(frozen=True)
class Section:
    """A vertical cut through a pile.

    Parameters
    ----------
    name : str
    ends_m : ndarray, shape (2, 2)
        Eastings and northings of its first and last point.
    along_m : ndarray, shape (n,)
        Distance from the first point.
    surface_m, base_m : ndarray, shape (n,)
        Elevations; the base is NaN outside the toe, the surface in holes of the ground.
    surface_u95_m : float
        Of a single cell.
    base_u95_m : ndarray, shape (n,)
    """

    name: str
    ends_m: Array
    along_m: Array
    surface_m: Array
    base_m: Array
    surface_u95_m: float
    base_u95_m: Array


def sections(relief: Relief, ground: Grid, margin_m: float) -> tuple[Section, Section]:
    """The sections along the longest axis of a pile and across it, through its centroid.

    Parameters
    ----------
    relief : Relief
    ground : Grid
        The surface with more around the pile than the relief has.
    margin_m : float
        The sections reach this far over the toe.
    """
    toe = relief.toe.polygon
    box = np.asarray(shapely.oriented_envelope(toe).exterior.coords)
    sides = np.diff(box, axis=0)[:2]
    longest = sides[np.argmax(np.hypot(*sides.T))]
    along = longest / np.hypot(*longest)
    # Drawn from west to east, or from south to north.
    along = along if along[0] + 1e-6 * along[1] > 0.0 else -along
    across = np.array([along[1], -along[0]])
    if across[0] + 1e-6 * across[1] < 0.0:
        across = -across
    return (
        _section("A", relief, ground, along, margin_m),
        _section("B", relief, ground, across, margin_m),
    )


def _section(name: str, relief: Relief, ground: Grid, direction: Array, margin_m: float) -> Section:
    toe = relief.toe.polygon
    centre = np.array(toe.centroid.coords[0])
    reach = (shapely.get_coordinates(toe) - centre) @ direction
    start_m, end_m = float(reach.min()) - margin_m, float(reach.max()) + margin_m
    cell_m = relief.grid.cell_size_m
    count = min(_MOST_POINTS, math.ceil((end_m - start_m) / cell_m) + 1)
    along_m = np.linspace(start_m, end_m, count)
    place = centre + along_m[:, None] * direction
    inside = shapely.contains_xy(toe, place)
    stencil = relief.grid.stencil(place)
    pile = stencil.sample(relief.grid.elevation_m)
    around = ground.stencil(place).sample(ground.elevation_m)
    base = np.where(inside, stencil.sample(relief.base.elevation_m), np.nan)
    return Section(
        name,
        place[[0, -1]],
        along_m - start_m,
        np.where(inside, pile, around),
        base,
        NORMAL_95 * relief.volume.noise.sigma_m,
        np.where(inside, _base_u95_m(relief, place, inside), np.nan),
    )


def _base_u95_m(relief: Relief, place: Array, inside: NDArray[np.bool_]) -> Array:
    """Half-width of the 95 % interval of the base at places (n,), interpolated between nodes."""
    found = np.flatnonzero(inside)
    if not found.size:
        return np.zeros(len(place))
    nodes = np.unique(found[np.linspace(0, found.size - 1, _NODES).astype(int)])
    base = relief.base
    variance = np.full(nodes.size, base.offset_sigma_m**2 + base.noise.sigma_m**2)
    if base.is_anchored:
        variance += _fit_variance(relief, place[nodes], relief.volume.noise)
    return np.interp(np.arange(len(place)), nodes, NORMAL_95 * np.sqrt(variance))


def _fit_variance(relief: Relief, place: Array, noise: DsmNoise) -> Array:
    """Variance (k,) of the fitted base at places (k, 2), from the noise at the toe."""
    position = relief.pile.samples.position_m
    if not len(position):
        return np.zeros(len(place))
    stencil = relief.pile.grid.stencil(place)
    shape = relief.pile.elevation_m.shape
    shares = []
    for number in range(len(place)):
        one = np.array([number])
        load = stencil.select(one).spread(np.ones(1), (shape[0], shape[1]))
        shares.append(relief.base.toe_weights(load))
    group = max(1, math.ceil(len(position) / _MOST_SAMPLES))
    first = np.arange(0, len(position), group)
    together = np.add.reduceat(np.array(shares), first, axis=1)
    middle = np.add.reduceat(position, first, axis=0) / np.diff([*first, len(position)])[:, None]
    covariance = noise.covariance(cdist(middle, middle))
    return np.asarray(np.einsum("ki,ij,kj->k", together, covariance, together).clip(min=0.0))
