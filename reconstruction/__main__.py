"""``python -m reconstruction PHOTOS SURVEY``: make a survey of a flight."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from reconstruction.errors import Cancelled, ReconstructionError
from reconstruction.meter import Meter
from reconstruction.options import QUALITIES, Options
from reconstruction.pipeline import Request, reconstruct
from reconstruction.sfm import ENGINES

_EXIT_REFUSED = 2
_EXIT_CANCELLED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reconstruction", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of photos")
    parser.add_argument("survey", type=Path, metavar="SURVEY", help="folder to write or resume")
    parser.add_argument("--gcp", type=Path, metavar="FILE", help="ground control points")
    parser.add_argument("--geo", type=Path, metavar="FILE", help="positions of the photos")
    parser.add_argument("--quality", choices=QUALITIES, default="standard")
    parser.add_argument("--engine", choices=ENGINES, default="colmap")
    parser.add_argument(
        "--opensfm",
        metavar="PROGRAM",
        default=os.environ.get("OPENSFM_BIN") or None,
        help="program of that engine, else the environment's OPENSFM_BIN, else from the PATH",
    )
    parser.add_argument(
        "--pdal",
        metavar="PROGRAM",
        default=os.environ.get("PDAL_BIN") or None,
        help="let PDAL filter and write the point cloud: its program, else the environment's "
        "PDAL_BIN, else the Python package pdal, if it is installed",
    )
    parser.add_argument("--crs", type=int, metavar="EPSG", help="projected CRS in metres")
    parser.add_argument("--jobs", type=int, metavar="N", default=os.cpu_count() or 1)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    chosen = _parser().parse_args(arguments)
    cancelled = threading.Event()

    def stop(number: int, frame: Any) -> None:
        print("\nStopping; the same command resumes. Again to stop at once.", file=sys.stderr)
        cancelled.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    meter = Meter()
    try:
        options = Options(chosen.quality, chosen.engine, chosen.crs, chosen.opensfm, chosen.pdal)
        request = Request(chosen.photos, chosen.survey, options, chosen.gcp, chosen.geo)
        written = reconstruct(request, max(1, chosen.jobs), meter, cancelled, meter.tell)
    except (Cancelled, KeyboardInterrupt):
        print("\nStopped. The same command resumes where it was.", file=sys.stderr)
        return _EXIT_CANCELLED
    except ReconstructionError as error:
        print(f"\n{error.reason}\n→ {error.hint}", file=sys.stderr)
        return _EXIT_REFUSED
    print(f"\n{written}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
