"""``python -m bench``: tables of accuracy, time and memory. They are printed, not judged.

make bench                                     # two flights, real flights, intervals, speed, web
make bench BENCH="rendered --seeds 10"         # intervals over ten quarries: hours
make bench BENCH="rendered --quality standard high --weeks 0 1"
make bench BENCH="growth"                      # 18, 50 and 150 photos
make bench BENCH="platform"                    # workers, queue, storage, chart
make bench BENCH="web"                         # pages, tiles, uploads, requests, live volume
make bench BENCH="intervals real"
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from bench.programs import ROOT, run
from bench.real_flights import measure_real_flights
from bench.rendered_flights import (
    Flight,
    measure_flight,
    print_accuracy,
    print_effort,
    print_piles,
)

_PARTS = ("rendered", "real", "growth", "intervals", "detection", "speed", "platform", "web")
_USUAL = ("rendered", "real", "intervals", "speed", "web")
_GROWTH = (18, 50, 150)
_INTERVAL_PILES = 300


def main() -> int:
    """Measure the chosen parts; returns 1 when a program failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--seeds", type=int, default=1, help="quarries, each with its own flights")
    parser.add_argument("--weeks", type=int, nargs="+", choices=(0, 1), default=[0])
    parser.add_argument(
        "--gps", nargs="+", choices=("rtk", "consumer"), default=["rtk", "consumer"]
    )
    parser.add_argument("--size", choices=("small", "demo", "large"), default="demo")
    parser.add_argument("--quality", nargs="+", default=["standard"])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    chosen = parser.parse_args()
    parts = chosen.parts or _USUAL
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    complete = True
    if "rendered" in parts:
        flights = [
            Flight(gps, seed, week, chosen.size)
            for seed in range(1, chosen.seeds + 1)
            for week in chosen.weeks
            for gps in chosen.gps
        ]
        complete &= _rendered(chosen.folder, flights, chosen.quality)
    if "growth" in parts:
        flights = [Flight(size="large", photos=count) for count in _GROWTH]
        complete &= _rendered(chosen.folder, flights, chosen.quality[:1])
    if "real" in parts:
        for quality in chosen.quality:
            measure_real_flights(chosen.folder, quality)
    if "intervals" in parts:
        for noise, ground in itertools.product(("known", "estimated"), ("plane", "undulating")):
            run("bench.interval_coverage", _INTERVAL_PILES, "--noise", noise, "--ground", ground)
    programs: dict[str, tuple[object, ...]] = {
        "detection": ("bench.detection",),
        "speed": ("bench.volumetrics_speed",),
        "platform": ("bench.cluster", chosen.folder, chosen.quality[0]),
        "web": ("bench.web",),
    }
    for part, program in programs.items():
        if part in parts:
            run(*program)
    return 0 if complete else 1


def _rendered(folder: Path, flights: list[Flight], qualities: list[str]) -> bool:
    """Measure flights and print all tables; whether every program went through."""
    tried = [measure_flight(folder, flight, quality) for flight in flights for quality in qualities]
    results = [result for result in tried if result]
    if results:
        print_piles(results)
        print_accuracy(results)
        print_effort(results)
    print(f"\n{len(tried) - len(results)} of {len(tried)} runs failed.")
    return len(results) == len(tried)


if __name__ == "__main__":
    sys.exit(main())
