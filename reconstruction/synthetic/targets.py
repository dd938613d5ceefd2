"""Ground control targets: where they are laid out and what a surveyor writes down of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from reconstruction.camera import Camera, Shot
from reconstruction.synthetic.options import SIZES, FlightOptions
from reconstruction.synthetic.piles import stock
from reconstruction.synthetic.plan import plan_flight
from reconstruction.synthetic.quarry import Quarry, Target
from reconstruction.synthetic.renderer import Scene, visible
from reconstruction.synthetic.vehicles import fleet

_MARKING_SIGMA_PX = 0.3
_EDGE_PX = 25.0

Bounds = tuple[float, float, float, float]


def target_places(options: FlightOptions, yard: Bounds) -> tuple[tuple[str, float, float], ...]:
    """Names and places of targets: spread over the flight, on open floor in either week."""
    wanted = options.gcps + options.check_points
    if wanted == 0:
        return ()
    size = SIZES[options.size]
    plan = np.array([(w.x, w.y) for w in plan_flight(options) if w.pitch_deg == -90.0])
    reach = 0.22 * size.height_px * size.gsd_m
    west, south = np.maximum(plan.min(axis=0) - reach, np.array(yard[:2]) + 1.0)
    east, north = np.minimum(plan.max(axis=0) + reach, np.array(yard[2:]) - 1.0)
    lattice = np.stack(
        np.meshgrid(np.arange(west, east, 2.0), np.arange(south, north, 2.0)), axis=-1
    ).reshape(-1, 2)
    taken = []
    for week in (0, 1):
        for pile in stock(options.seed, week, yard):
            crest = shapely.MultiPoint(pile.crest).convex_hull
            taken.append(crest.buffer(pile.plateau_m + 1.3 * pile.height_m / pile.slope + 1.5))
            if pile.wall is not None:
                taken.append(pile.wall.polygon().buffer(2.5))
        taken += [shapely.Point(v.x, v.y).buffer(7.5) for v in fleet(week)]
    free = lattice[~shapely.contains_xy(shapely.union_all(taken), lattice[:, 0], lattice[:, 1])]
    chosen = _spread(free, wanted)
    names = [f"GCP{i + 1}" for i in range(options.gcps)]
    names += [f"CHK{i + 1}" for i in range(options.check_points)]
    return tuple((name, float(x), float(y)) for name, (x, y) in zip(names, chosen, strict=True))


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """Each the farthest from those before it, beginning in a corner."""
    chosen = [int(np.argmin(places @ np.array([1.0, 1.0])))]
    distance = np.full(len(places), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.asarray(places[chosen])


def write_gcp_list(
    path: Path, quarry: Quarry, scene: Scene, camera: Camera, shots: tuple[Shot, ...], seed: int
) -> None:
    """Write the marks of all targets in OpenDroneMap's format."""
    rng = np.random.default_rng([seed, 61])
    lines = [f"EPSG:{quarry.frame.epsg}"]
    for target in quarry.targets:
        easting, northing, elevation = quarry.frame.to_map(target.point[None])[0]
        for shot in shots:
            pixel = mark(target, scene, camera, shot)
            if pixel is None:
                continue
            x, y = pixel + rng.normal(0.0, _MARKING_SIGMA_PX, 2)
            lines.append(
                f"{easting:.4f} {northing:.4f} {elevation:.4f} {x:.2f} {y:.2f}"
                f" {shot.name} {target.name}"
            )
    path.write_text("\n".join(lines) + "\n")


def mark(target: Target, scene: Scene, camera: Camera, shot: Shot) -> np.ndarray | None:
    """Exact pixel of a target's centre; None where it is hidden or too near the edge."""
    point = target.point[None]
    if not visible(scene, camera, shot, point)[0]:
        return None
    pixel = camera.project(shot.to_camera(point))[0]
    size = np.array([camera.width_px, camera.height_px])
    if (pixel < _EDGE_PX).any() or (pixel > size - _EDGE_PX).any():
        return None
    return np.asarray(pixel)
