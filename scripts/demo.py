"""The demo: simulated photos of a quarry in, volumes with an honest ± out, beside the truth.

    make demo

Runs the same three programs that anybody would, and prints what they made of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.comparison import PileError, compare_piles
from bench.programs import FLIGHTS, ROOT, run

# volumetrics: some piles were refused, the others measured.
_SOME_REFUSED = 1


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "demo")
    parser.add_argument("--quality", default="standard")
    chosen = parser.parse_args()
    flight, survey = FLIGHTS / "week0", chosen.folder / "survey"
    true_volumes = chosen.folder / "volumes_of_true_surface"
    piles = flight / "piles.geojson"
    started = time.monotonic()
    for is_quiet, module, *arguments in (
        (False, "reconstruction.synthetic", flight),
        (False, "reconstruction", flight / "images", survey, "--quality", chosen.quality),
        (False, "volumetrics", survey, piles, "--out", survey / "volumes"),
        (True, "volumetrics", flight / "truth" / "dsm.tif", piles, "--out", true_volumes),
    ):
        usage = run(module, *arguments, is_quiet=is_quiet)
        if usage.exit_code not in (0, _SOME_REFUSED if module == "volumetrics" else 0):
            print(f"\nThe demo stops: {module} ended with exit code {usage.exit_code}.")
            return usage.exit_code
    measured, refused = compare_piles(
        survey / "volumes" / "volumes.csv", true_volumes / "volumes.csv"
    )
    _print_table(measured, refused)
    _print_places(flight, survey)
    print(f"\nTaken: {time.monotonic() - started:.0f} s")
    return 0


def _print_table(measured: list[PileError], refused: dict[str, str]) -> None:
    print(f"\n{'pile':20} {'volume m³':>10} {'± 95 %':>8} {'truth m³':>10} {'error':>8}")
    for pile in measured:
        print(
            f"{pile.pile:20.20} {pile.net_m3:10.1f} {pile.net_u95_m3:8.1f} {pile.truth_m3:10.1f} "
            f"{pile.error_share:+8.2%}{'' if pile.is_inside else '  outside ±'}"
        )
    for name, why in refused.items():
        print(f"{name:20.20} {'refused':>10}  {why}")
    inside = sum(pile.is_inside for pile in measured)
    print(
        f"The truth is what the same base gives on the surface that was photographed; "
        f"{inside} of {len(measured)} intervals hold it."
    )


def _print_places(flight: Path, survey: Path) -> None:
    print("\nWhere it lies:")
    for what, place in (
        ("photos", flight / "images"),
        ("survey", survey),
        ("report", survey / "report.html"),
        ("volumes", survey / "volumes" / "volumes.csv"),
        ("surface", survey / "dsm.tif"),
        ("orthomosaic", survey / "orthomosaic.tif"),
        ("point cloud", survey / "point_cloud.copc.laz"),
        ("3D model", survey / "model" / "tileset.json"),
    ):
        if place.exists():
            print(f"  {what:12} {place}")


if __name__ == "__main__":
    sys.exit(main())
