"""Rendered flights: errors of volumes and surfaces against the truth, time and memory."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.comparison import PileError, SurfaceError, compare_piles, compare_surface
from bench.programs import Usage, run

# Of smaller piles no share is worth stating.
_LEAST_M3 = 100.0


@dataclass(frozen=True)
class Flight:
    """A flight to render.

    Parameters
    ----------
    gps : str
        ``rtk``, or ``consumer`` with control and check points.
    seed, week : int
    size : str
    photos : int or None
    """

    gps: str = "rtk"
    seed: int = 1
    week: int = 0
    size: str = "demo"
    photos: int | None = None

    @property
    def name(self) -> str:
        """For folders and tables."""
        count = f"_{self.photos}" if self.photos else ""
        return f"{self.size}{count}_{self.gps}_seed{self.seed}_week{self.week}"

    @property
    def arguments(self) -> list[object]:
        """Of ``python -m reconstruction.synthetic``."""
        words: list[object] = [
            "--gps", self.gps, "--seed", self.seed, "--week", self.week, "--size", self.size,
        ]  # fmt: skip
        if self.photos:
            words += ["--photos", self.photos]
        if self.gps == "consumer":
            words += ["--gcps", 5, "--check-points", 5]
        return words


@dataclass(frozen=True)
class Measured:
    """What came of a flight at a quality.

    Parameters
    ----------
    flight : Flight
    quality : str
    piles : list of PileError
    refused : dict
        Reasons by pile.
    surface : SurfaceError
    accuracy, facts : dict
        ``accuracy.json`` and ``survey.json``.
    usage : Usage
        Of the reconstruction.
    """

    flight: Flight
    quality: str
    piles: list[PileError]
    refused: dict[str, str]
    surface: SurfaceError
    accuracy: dict[str, Any]
    facts: dict[str, Any]
    usage: Usage


def measure_flight(folder: Path, flight: Flight, quality: str) -> Measured | None:
    """Render a flight (once), reconstruct it afresh, and compare; None when a program fails."""
    place = folder / flight.name
    if run("reconstruction.synthetic", place, *flight.arguments).exit_code:
        return None
    survey = folder / f"{flight.name}_{quality}"
    shutil.rmtree(survey, ignore_errors=True)
    control = place / "gcp_list.txt"
    usage = run(
        "reconstruction", place / "images", survey, "--quality", quality,
        *(("--gcp", control) if control.exists() else ()),
    )  # fmt: skip
    if usage.exit_code:
        return None
    truth = place / "truth" / "dsm.tif"
    for surface, out in ((survey, survey / "volumes"), (truth, survey / "volumes_true")):
        run("volumetrics", surface, place / "piles.geojson", "--out", out, is_quiet=True)
    piles, refused = compare_piles(
        survey / "volumes" / "volumes.csv", survey / "volumes_true" / "volumes.csv"
    )
    return Measured(
        flight, quality, piles, refused, compare_surface(survey / "dsm.tif", truth),
        json.loads((survey / "accuracy.json").read_text(encoding="utf-8")),
        json.loads((survey / "survey.json").read_text(encoding="utf-8")),
        usage,
    )  # fmt: skip


def print_accuracy(results: list[Measured]) -> None:
    """Errors of volumes, surfaces and check points, a line a flight."""
    print(
        f"\n{'flight':30} {'quality':8} {'piles':>5} {'mean|e|':>8} {'max|e|':>8} {'bias':>8} "
        f"{'u95':>6} {'held':>6} {'DSM bias':>9} {'NMAD':>6} "
        f"{'east':>6} {'north':>6} {'check h':>8} {'check v':>8}"
    )
    for item in results:
        gsd_m = item.facts["gsd_m"]
        errors = np.array([p.error_share for p in item.piles if p.truth_m3 > _LEAST_M3])
        u95 = [p.net_u95_m3 / p.truth_m3 for p in item.piles if p.truth_m3 > _LEAST_M3]
        check = item.accuracy["check_point_rmse_m"]
        check_text = (
            f"{check['horizontal'] / gsd_m:8.2f} {check['vertical'] / gsd_m:8.2f}"
            if check
            else f"{'–':>8} {'–':>8}"
        )
        inside = sum(p.is_inside for p in item.piles)
        print(
            f"{item.flight.name:30} {item.quality:8} {len(errors):5} {np.abs(errors).mean():8.3%} "
            f"{np.abs(errors).max():8.3%} {errors.mean():+8.3%} {np.median(u95):6.2%} "
            f"{inside:3}/{len(item.piles):<2} {item.surface.bias_m / gsd_m:+9.2f} "
            f"{item.surface.nmad_m / gsd_m:6.2f} {item.surface.shift_m[0] / gsd_m:+6.2f} "
            f"{item.surface.shift_m[1] / gsd_m:+6.2f} {check_text}"
        )
        for name, why in item.refused.items():
            print(f"    refused: {name}: {why}")
    held = [pile.is_inside for item in results for pile in item.piles]
    print(
        f"Of all {len(held)} intervals {np.mean(held):.1%} hold the truth. Errors are of piles "
        f"above {_LEAST_M3:.0f} m³; surface, its shift to the east and north, and check points in "
        "GSD, the surface at cells of 10 cm."
    )


def print_piles(results: list[Measured]) -> None:
    """Every pile."""
    for item in results:
        print(f"\n{item.flight.name} at {item.quality}")
        for pile in item.piles:
            print(
                f"  {pile.pile:20.20} {pile.net_m3:9.2f} ± {pile.net_u95_m3:6.2f} "
                f"true {pile.truth_m3:9.2f} {pile.error_share:+8.3%}"
                f"{'' if pile.is_inside else '  outside'}"
            )


def print_effort(results: list[Measured]) -> None:
    """CPU-seconds a photo by stage, wall time and peak memory."""
    stages = [stage["stage"] for stage in results[0].facts["stages"]]
    print(f"\n{'CPU-seconds a photo':30} {'quality':8}", *(f"{name[:8]:>8}" for name in stages),
          f"{'all':>7} {'wall s':>7} {'peak MB':>8}")  # fmt: skip
    for item in results:
        count = item.facts["image_count"]
        spent = [stage["cpu_seconds"] / count for stage in item.facts["stages"]]
        print(f"{item.flight.name:30} {item.quality:8}", *(f"{value:8.2f}" for value in spent),
              f"{item.usage.cpu_seconds / count:7.2f} {item.usage.seconds:7.0f} "
              f"{item.usage.peak_mb:8.0f}")  # fmt: skip
