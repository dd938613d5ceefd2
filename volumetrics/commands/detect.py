"""``python -m volumetrics detect SURVEY``: propose the toes of all piles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from volumetrics.commands.proposals import HINT, write_proposals
from volumetrics.commands.refusals import print_refused
from volumetrics.detect import MIN_AREA_M2, MIN_CONFIDENCE, MIN_HEIGHT_M, propose_in_survey
from volumetrics.errors import VolumetricsError
from volumetrics.identity import carry
from volumetrics.polygons import read_toes
from volumetrics.survey import open_survey
from volumetrics.toe import Toe

Found = tuple[Toe, dict[str, Any]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m volumetrics detect",
        description="Propose toe polygons, each with a confidence. People confirm them.",
    )
    parser.add_argument("survey", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument(
        "--known",
        type=Path,
        metavar="PILES",
        help="the piles of the survey before (GeoJSON), whose names are carried over",
    )
    parser.add_argument("--min-area", type=float, default=MIN_AREA_M2, metavar="M2")
    parser.add_argument("--min-height", type=float, default=MIN_HEIGHT_M, metavar="M")
    parser.add_argument("--min-confidence", type=float, default=MIN_CONFIDENCE, metavar="SHARE")
    parser.add_argument("--crs", help="CRS of a surface that names none, e.g. EPSG:32615")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: proposals.geojson beside the surface"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command; 0, or 2 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        survey = open_survey(options.survey, options.crs)
        known, unusable = read_toes(options.known, survey) if options.known else ([], {})
        proposals = propose_in_survey(
            survey, options.min_area, options.min_height, options.min_confidence
        )
        found: list[Found] = [
            (
                one.toe,
                {
                    "confidence": round(one.confidence, 3),
                    "height_m": round(one.height_m, 2),
                    "reasons": list(one.reasons),
                },
            )
            for one in proposals
        ]
        gone: list[str] = []
        if options.known:
            found, gone = _named(known, found)
        path = options.out or survey.dsm_path.parent / "proposals.geojson"
        write_proposals(path, found, survey, *([options.known] if options.known else []))
    except VolumetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    head = f"{'proposal':24} {'area m²':>9} {'height m':>9} {'confidence':>11}  became"
    print(head if found else "No piles were found.")
    for toe, more in found:
        print(
            f"{toe.name:24.24} {toe.area_m2:9.1f} {more['height_m']:9.2f} "
            f"{more['confidence']:11.0%}  {more.get('identity', '')}"
        )
    for name in gone:
        print(f"gone: {name}")
    print_refused(unusable)
    print(f"{path}: {HINT}")
    return 0


def _named(known: list[Toe], found: list[Found]) -> tuple[list[Found], list[str]]:
    """Proposals with the names of the piles they come from, and the piles that are gone."""
    toes = [toe for toe, _ in found]
    named, gone = list(found), []
    for link in carry(known, toes):
        was = [known[number].name for number in link.before]
        if not link.after:
            gone += was
        for place, number in enumerate(link.after, start=1):
            toe, more = found[number]
            name = toe.name if not was else " + ".join(was)
            if len(link.after) > 1:
                name = f"{name} ({place})"
            said = {
                "identity": link.kind,
                "identity_confidence": round(link.confidence, 3),
                "was": was,
            }
            named[number] = (replace(toe, name=name), more | said)
    return named, gone
