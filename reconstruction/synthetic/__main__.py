"""``python -m reconstruction.synthetic FOLDER``: render the demo quarry."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from reconstruction.errors import ReconstructionError
from reconstruction.meter import Meter
from reconstruction.stage import Run
from reconstruction.synthetic.flight import render_flight
from reconstruction.synthetic.options import RECEIVERS, SIZES, FlightOptions


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reconstruction.synthetic",
        description="Render a simulated drone flight over the demo quarry, with exact truth.",
    )
    parser.add_argument("folder", type=Path, help="where the flight goes; a cached one is kept")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--week", type=int, default=0, help="0, or 1 for a week later")
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--photos", type=int, help="another number of photos than the size's own")
    parser.add_argument("--gps", choices=RECEIVERS, default="rtk")
    parser.add_argument("--gcps", type=int, default=0, help="ground control targets")
    parser.add_argument("--check-points", type=int, default=0, help="targets for checking only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


def main() -> int:
    """Render; returns the exit status."""
    given = vars(_arguments().parse_args())
    folder, jobs = given.pop("folder"), given.pop("jobs")

    meter = Meter()
    try:
        render_flight(folder, FlightOptions(**given), Run(partial(meter, "rendering"), jobs))
    except ReconstructionError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{folder}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
