"""``python -m volumetrics snap SURVEY PILES.geojson``: move rough polygons to the true toe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from volumetrics.commands.proposals import HINT, windows, write_proposals
from volumetrics.commands.refusals import print_refused
from volumetrics.errors import VolumetricsError
from volumetrics.polygons import read_toes
from volumetrics.snap import snap
from volumetrics.survey import open_survey
from volumetrics.walls import beside_walls

_SEARCH_M = 2.0
# What the profiles need beyond the search, in metres and in cells of a coarse surface.
_ARM_M, _ARM_CELLS = 1.5, 8.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m volumetrics snap",
        description="Move rough polygons to where the ground bends up into the pile.",
    )
    parser.add_argument("survey", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument("piles", type=Path, help="rough polygons as GeoJSON, named by 'name'")
    parser.add_argument(
        "--search",
        type=float,
        default=_SEARCH_M,
        metavar="M",
        help=f"how far the toe may be from the drawn line (default {_SEARCH_M:g} m)",
    )
    parser.add_argument("--crs", help="CRS of a surface that names none, e.g. EPSG:32615")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: snapped.geojson beside the surface"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command; 0, 1 when some were refused, 2 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        survey = open_survey(options.survey, options.crs)
        toes, refused = read_toes(options.piles, survey, must_be_confirmed=False)
        margin_m = options.search + _ARM_M + _ARM_CELLS * survey.cell_size_m
        found = []
        for toe, grid in windows(survey, toes, margin_m, refused):
            moved = snap(grid, beside_walls(grid, toe), options.search)
            facts = {"confidence": round(moved.confidence, 3), "moved_m": round(moved.moved_m, 3)}
            found.append((moved.toe, facts))
        path = options.out or survey.dsm_path.parent / "snapped.geojson"
        write_proposals(path, found, survey, options.piles)
    except VolumetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'pile':24} {'moved m':>9} {'confidence':>11} {'area m²':>9} {'walls m':>8}")
    for toe, facts in found:
        walls_m = 0.0 if toe.walls is None else toe.walls.length
        print(
            f"{toe.name:24.24} {facts['moved_m']:9.2f} {facts['confidence']:11.0%} "
            f"{toe.area_m2:9.1f} {walls_m:8.1f}"
        )
    print_refused(refused)
    print(f"{path}: {HINT}")
    return 1 if refused else 0
