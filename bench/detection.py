"""How well piles are found, and rough lines snapped, on the demo quarry.

    python -m bench.detection [--seeds N] [--quality preview standard] [--folder FOLDER]

Each seed is a quarry with highwall, benches, bunker walls, vehicles, bushes and ruts. Without a
quality noise is laid over its true surfaces of two weeks; with one the surface is reconstructed
from a rendered flight. A pile is found when a proposal and its toe share half of what they cover
together; a proposal that meets no toe so is a false one. Piles that a flight shows in part count
neither way. Lines are compared where no wall takes the toe's place, and volumes above the plane
with those of the true toe.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from bench.programs import ROOT, run
from bench.rendered_flights import Flight
from reconstruction.synthetic.piles import wall_edges
from reconstruction.synthetic.quarry import USUAL_YARD, Quarry, Stockpile, build_quarry
from volumetrics.detect import propose
from volumetrics.errors import VolumetricsError
from volumetrics.grid import Grid, area_fraction
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.polygons import read_toes
from volumetrics.snap import snap
from volumetrics.survey import open_survey
from volumetrics.synthetic import draw_noise, draw_toe
from volumetrics.toe import Toe, wall_lines
from volumetrics.volume import measure
from volumetrics.walls import beside_walls

CELL_M = 0.1
MARGIN_M = 14.0
RECONSTRUCTED_CELL_M, PHOTOS = 0.2, 30
NOISE = DsmNoise((NoiseComponent(0.015, 0.6), NoiseComponent(0.01, 8.0)))
SAME = 0.5
CONFIDENCES = (0.3, 0.5, 0.7)
# The quarry's outlines are drawn this far outside of the toes, as a careful user would.
DRAWN_M = 0.35
# Rough lines: this far outwards as a whole, and wrong by this much (1 sigma) here and there.
ROUGH_M, ROUGH_SIGMA_M, ROUGH_RANGE_M = 0.5, 0.6, 8.0
STEP_M = 0.25
BESIDE_WALL_M = 1.0
LEAST_SEEN, BESIDE_M = 0.97, 1.0


@dataclass(frozen=True)
class Week:
    """A surveyed quarry and the toes of its piles as a careful user draws them.

    Parameters
    ----------
    grid : Grid
    toes : tuple of Toe
        Of the piles that were seen with the ground around them.
    in_part : tuple of Toe
        Of the other piles.
    """

    grid: Grid
    toes: tuple[Toe, ...]
    in_part: tuple[Toe, ...] = ()


def weeks(seeds: int) -> Iterator[Week]:
    """Quarries of some seeds, in both weeks."""
    west, south, east, north = USUAL_YARD
    bounds = (west - MARGIN_M, south - MARGIN_M, east + MARGIN_M, north + MARGIN_M)
    for seed in range(1, seeds + 1):
        for week in (0, 1):
            yield _surveyed(build_quarry(seed, week, bounds, CELL_M), 100 * seed + week)


def flights(folder: Path, seeds: int, quality: str) -> Iterator[Week]:
    """Quarries of some seeds as reconstructed from rendered photos."""
    for seed in range(1, seeds + 1):
        flight = Flight(seed=seed, photos=PHOTOS)
        place, survey = folder / flight.name, folder / f"{flight.name}_{quality}"
        run("reconstruction.synthetic", place, *flight.arguments, is_quiet=True)
        run("reconstruction", place / "images", survey, "--quality", quality, is_quiet=True)
        yield _reconstructed(survey, place / "piles.geojson")


def _reconstructed(folder: Path, piles: Path) -> Week:
    survey = open_survey(folder)
    grid = survey.overview(RECONSTRUCTED_CELL_M)
    toes, _ = read_toes(piles, survey)
    whole = [_seen(grid, toe) > LEAST_SEEN for toe in toes]
    return Week(
        grid,
        tuple(toe for toe, is_whole in zip(toes, whole, strict=True) if is_whole),
        tuple(toe for toe, is_whole in zip(toes, whole, strict=True) if not is_whole),
    )


def _seen(grid: Grid, toe: Toe) -> float:
    """Share of a pile and of the ground beside it that the surface shows."""
    around = toe.polygon.buffer(BESIDE_M)
    fraction = area_fraction(around, grid)
    return float(fraction[np.isfinite(grid.elevation_m)].sum() * grid.cell_area_m2 / around.area)


def _surveyed(quarry: Quarry, seed: int) -> Week:
    nodes = quarry.grid
    surface = quarry.surface[::-1].astype(np.float64)
    surface += draw_noise(NOISE, surface.shape, CELL_M, np.random.default_rng(seed))
    north_m = nodes.south_m + (nodes.rows - 0.5) * CELL_M
    grid = Grid(surface, nodes.west_m - 0.5 * CELL_M, north_m, CELL_M)
    return Week(grid, tuple(_toe(pile) for pile in quarry.stockpiles))


def _toe(pile: Stockpile) -> Toe:
    if pile.wall is None:
        return Toe(pile.name, pile.toe)
    ring = np.asarray(pile.toe.exterior.coords)[:-1]
    return Toe(pile.name, pile.toe, wall_lines(ring, wall_edges(pile.toe, pile.wall)))


def offsets_m(found: Toe, true: Toe) -> np.ndarray:
    """How far the found line lies outside of the true one, along it; beside walls left out."""
    ring = shapely.segmentize(found.polygon.exterior, STEP_M)
    points = shapely.points(np.asarray(ring.coords)[:-1])
    if true.walls is not None:
        points = points[shapely.distance(points, true.walls) > BESIDE_WALL_M]
    outward = np.where(shapely.contains(true.polygon, points), -1.0, 1.0)
    return outward * shapely.distance(points, true.polygon.exterior) + DRAWN_M


def volume_change(grid: Grid, found: Toe, true: Toe) -> float:
    """Relative difference of the volumes within two lines."""
    try:
        return measure(grid, found).net_m3 / measure(grid, true).net_m3 - 1.0
    except VolumetricsError:
        return float("nan")


def overlap(one: Toe, other: Toe) -> float:
    """Shared area by area together."""
    common = one.polygon.intersection(other.polygon).area
    return float(common / (one.area_m2 + other.area_m2 - common))


def print_found(quarries: Iterable[Week]) -> None:
    """Print precision, recall and the lines of proposals."""
    found = {least: [0, 0, 0] for least in CONFIDENCES}
    lines, volumes, missed = [], [], []
    for week in quarries:
        proposals = propose(week.grid, min_confidence=min(CONFIDENCES))
        share = np.array([[overlap(one.toe, toe) for toe in week.toes] for one in proposals])
        share = share.reshape(len(proposals), len(week.toes))
        sure = np.array([one.confidence for one in proposals])
        meets_part = np.array(
            [any(one.toe.polygon.intersects(toe.polygon) for toe in week.in_part)
             for one in proposals], dtype=bool,
        )  # fmt: skip
        for least, counts in found.items():
            shown = share[sure >= least]
            counts[0] += len(week.toes)
            counts[1] += int((shown > SAME).any(axis=0).sum())
            counts[2] += int((~(shown > SAME).any(axis=1) & ~meets_part[sure >= least]).sum())
        for number, toe in enumerate(week.toes):
            if not (share[:, number] > SAME).any():
                missed.append(toe.name)
                continue
            best = proposals[int(share[:, number].argmax())].toe
            lines.append(offsets_m(best, toe))
            volumes.append(volume_change(week.grid, best, toe))
    print(
        f"{'confidence':>10} {'piles':>6} {'found':>6} {'recall':>7} {'false':>6} {'precision':>10}"
    )
    for least, (piles, right, wrong) in found.items():
        print(
            f"{least:10.1f} {piles:6} {right:6} {right / piles:7.1%} {wrong:6} "
            f"{right / max(right + wrong, 1):10.1%}"
        )
    print(f"missed: {', '.join(missed) or 'none'}")
    _print_lines("proposed lines", lines, volumes)


def print_snapped(quarries: Iterable[Week]) -> None:
    """Print how far rough lines come to the toe."""
    rough, lines, before, volumes = [], [], [], []
    for number, week in enumerate(quarries):
        for index, toe in enumerate(week.toes):
            generator = np.random.default_rng([number, index])
            wide = toe.polygon.buffer(ROUGH_M - DRAWN_M, quad_segs=2).simplify(0.3)
            drawn = draw_toe(Toe(toe.name, wide), ROUGH_SIGMA_M, ROUGH_RANGE_M, generator)
            # Where the hand crossed its own line, the larger loop is meant.
            outline = max(shapely.get_parts(drawn.polygon), key=lambda part: part.area)
            drawn = Toe(toe.name, outline)
            around = week.grid.around(drawn.polygon.bounds, 6.0)
            moved = snap(around, beside_walls(around, drawn)).toe
            rough.append(offsets_m(drawn, toe))
            lines.append(offsets_m(moved, toe))
            before.append(volume_change(week.grid, drawn, toe))
            volumes.append(volume_change(week.grid, moved, toe))
    _print_lines("rough lines", rough, before)
    _print_lines("the same snapped", lines, volumes)


def _print_lines(name: str, lines: list[np.ndarray], volumes: list[float]) -> None:
    offset, change = np.concatenate(lines), 100.0 * np.array(volumes)
    print(
        f"{name} ({len(lines)}): {np.mean(offset):+.2f} m outside the toe on average, "
        f"{np.sqrt(np.mean(offset**2)):.2f} m RMS, {np.quantile(np.abs(offset), 0.9):.2f} m at 90 %"
    )
    size = np.abs(change[np.isfinite(change)])
    print(
        f"  volume: {np.nanmedian(change):+.2f} % in the middle, {np.median(size):.2f} % off in "
        f"half, {np.quantile(size, 0.9):.1f} % at 90 %, {size.max():.0f} % at worst"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quality", nargs="*", default=[])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    options = parser.parse_args()
    if not options.quality:
        _print("true surfaces", list(weeks(options.seeds)))
    for quality in options.quality:
        _print(f"reconstructed at {quality}", list(flights(options.folder, options.seeds, quality)))


def _print(name: str, quarries: list[Week]) -> None:
    started = time.process_time()
    print(f"\n{name}")
    print_found(quarries)
    print_snapped(quarries)
    print(f"{time.process_time() - started:.0f} CPU-s")


if __name__ == "__main__":
    main()
