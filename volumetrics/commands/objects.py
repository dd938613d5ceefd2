"""``python -m volumetrics objects SURVEY PILES.geojson``: propose what to exclude from piles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from volumetrics.commands.proposals import HINT, windows, write_proposals
from volumetrics.commands.refusals import print_refused
from volumetrics.errors import VolumetricsError
from volumetrics.objects import propose_objects
from volumetrics.polygons import read_toes
from volumetrics.survey import open_survey
from volumetrics.toe import Toe

_MARGIN_M = 6.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m volumetrics objects",
        description="Propose objects that stand out of a pile's smooth skin, to be excluded from "
        "its volume with --exclude.",
    )
    parser.add_argument("survey", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument("piles", type=Path, help="toe polygons as GeoJSON, named by 'name'")
    parser.add_argument("--crs", help="CRS of a surface that names none, e.g. EPSG:32615")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: objects.geojson beside the surface"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command; 0, 1 when some piles were refused, 2 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        survey = open_survey(options.survey, options.crs)
        toes, refused = read_toes(options.piles, survey, must_be_confirmed=False)
        found = []
        for toe, grid in windows(survey, toes, _MARGIN_M, refused):
            for number, one in enumerate(propose_objects(grid, toe), start=1):
                facts = {"confidence": round(one.confidence, 3), "height_m": round(one.height_m, 2)}
                found.append((Toe(f"{toe.name}, object {number}", one.polygon), facts))
        path = options.out or survey.dsm_path.parent / "objects.geojson"
        write_proposals(path, found, survey, options.piles)
    except VolumetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not found:
        print("Nothing stands out of the piles.")
        print_refused(refused)
        return 1 if refused else 0
    print(f"{'object':32} {'area m²':>9} {'height m':>9} {'confidence':>11}")
    for toe, facts in found:
        print(
            f"{toe.name:32.32} {toe.area_m2:9.1f} {facts['height_m']:9.2f} "
            f"{facts['confidence']:11.0%}"
        )
    print_refused(refused)
    print(f"{path}: {HINT}")
    return 1 if refused else 0
