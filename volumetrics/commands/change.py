"""``python -m volumetrics change EARLIER LATER PILES.geojson``: what came and went."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from volumetrics import __version__
from volumetrics.alignment import Alignment
from volumetrics.change import Change
from volumetrics.commands.measure import TOE_SIGMA_M
from volumetrics.commands.refusals import print_refused
from volumetrics.errors import VolumetricsError
from volumetrics.files.whole import whole
from volumetrics.io import pile_document
from volumetrics.polygons import read_toes
from volumetrics.site_change import SiteChange, joined, measure_site_change
from volumetrics.survey import open_survey
from volumetrics.volume import MIN_COVERAGE

_COLUMNS = (
    "pile", "identity", "area_m2", "fill_m3", "fill_u95_m3", "cut_m3", "cut_u95_m3", "net_m3",
    "net_u95_m3", "level_of_detection_m", "detected_fill_m3", "detected_cut_m3", "coverage",
    "refused",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m volumetrics change",
        description="Align the later survey to unchanged ground of the earlier one, then tell what "
        "came (fill) and what went (cut) within each polygon.",
    )
    parser.add_argument("earlier", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument("later", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument("piles", type=Path, help="toe polygons of the earlier survey, or of both")
    parser.add_argument(
        "--later-piles",
        type=Path,
        metavar="FILE",
        help="toe polygons of the later survey: piles are followed, and each is measured within "
        "what it covered on either date",
    )
    parser.add_argument("--toe-sigma", type=float, default=TOE_SIGMA_M, metavar="M")
    parser.add_argument("--min-coverage", type=float, default=MIN_COVERAGE, metavar="SHARE")
    parser.add_argument("--crs", help="CRS of surfaces that name none, e.g. EPSG:32615")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for change.csv and change.json "
        "(default: the later survey's)"
    )  # fmt: skip
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command; 0, 1 when some polygons were refused, 2 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        earlier, later = (open_survey(p, options.crs) for p in (options.earlier, options.later))
        toes, unusable = read_toes(options.piles, earlier)
        kinds: dict[str, str] = {}
        if options.later_piles:
            more, also_unusable = read_toes(options.later_piles, later)
            unusable |= also_unusable
            pairs = joined(toes, more)
            toes = [toe for toe, _ in pairs]
            kinds = {toe.name: kind for toe, kind in pairs}
        found = measure_site_change(earlier, later, toes, options.toe_sigma, options.min_coverage)
    except VolumetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    refused = unusable | dict(found.refused)
    out = options.out or later.dsm_path.parent
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "software": f"volumetrics {__version__}",
        "earlier": str(earlier.dsm_path),
        "later": str(later.dsm_path),
        "crs": earlier.crs.to_string(),
    }
    _write(found, kinds, refused, about, out)
    _print(found, kinds, refused)
    return 1 if refused else 0


def _row(change: Change, kinds: Mapping[str, str]) -> dict[str, Any]:
    volume = change.volume
    return {
        "pile": volume.pile,
        "identity": kinds.get(volume.pile, ""),
        "area_m2": volume.area_m2,
        "fill_m3": volume.fill_m3,
        "fill_u95_m3": volume.fill_u95_m3,
        "cut_m3": volume.cut_m3,
        "cut_u95_m3": volume.cut_u95_m3,
        "net_m3": volume.net_m3,
        "net_u95_m3": volume.net_u95_m3,
        "level_of_detection_m": change.level_of_detection_m,
        "detected_fill_m3": change.detected_fill_m3,
        "detected_cut_m3": change.detected_cut_m3,
        "coverage": volume.coverage,
    }


def _write(
    found: SiteChange,
    kinds: Mapping[str, str],
    refused: Mapping[str, str],
    about: dict[str, Any],
    folder: Path,
) -> None:
    rows = [_row(change, kinds) for change in found.changes]
    with whole(folder / "change.csv") as partial, partial.open("w", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS, restval="")
        table.writeheader()
        for row in rows:
            table.writerow({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()})
        table.writerows({"pile": name, "refused": why} for name, why in refused.items())
    document = about | {
        "alignment": found.alignment.summary(),
        "piles": [
            pile_document(change.volume) | row
            for change, row in zip(found.changes, rows, strict=True)
        ],
        "refused": [{"pile": name, "reason": why} for name, why in refused.items()],
        "total": {
            name: {"value_m3": value, "u95_m3": budget.u95_m3}
            for name, (value, budget) in found.totals().items()
        },
        "elsewhere_fill_m3": found.elsewhere_fill_m3,
        "elsewhere_cut_m3": found.elsewhere_cut_m3,
    }
    with whole(folder / "change.json") as partial:
        partial.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", "utf-8")


def _print(found: SiteChange, kinds: Mapping[str, str], refused: Mapping[str, str]) -> None:
    print(_moved(found.alignment))
    print(
        f"{'pile':24} {'came m³':>10} {'± 95 %':>8} {'went m³':>10} {'± 95 %':>8} "
        f"{'net m³':>10} {'± 95 %':>8} {'detects m':>10}  became"
    )
    for change in found.changes:
        volume = change.volume
        print(
            f"{volume.pile:24.24} {volume.fill_m3:10.2f} {volume.fill_u95_m3:8.2f} "
            f"{volume.cut_m3:10.2f} {volume.cut_u95_m3:8.2f} {volume.net_m3:10.2f} "
            f"{volume.net_u95_m3:8.2f} {change.level_of_detection_m:10.3f}  "
            f"{kinds.get(volume.pile, '')}"
        )
    if found.changes:
        told = [f"{value:10.2f} {budget.u95_m3:8.2f}" for value, budget in found.totals().values()]
        print(f"{'site':24} {' '.join(told)}")
    print(
        f"elsewhere, above the level of detection: {found.elsewhere_fill_m3:.1f} m³ came, "
        f"{found.elsewhere_cut_m3:.1f} m³ went"
    )
    print_refused(refused)


def _moved(alignment: Alignment) -> str:
    axes = []
    for name, shift_m, sigma_m in zip(
        ("east", "north"), alignment.shift_m, alignment.shift_sigma_m, strict=True
    ):
        known = math.isfinite(sigma_m)
        axes.append(
            f"{-shift_m:+.3f} ± {1.96 * sigma_m:.3f} m {name}"
            if known
            else f"an unknown distance {name} (the ground is too level to tell)"
        )
    tilt = 1000.0 * float(math.hypot(*alignment.plane[1:]))
    up_u95_m = 1.96 * math.sqrt(max(0.0, float(alignment.plane_covariance[0, 0])))
    return (
        f"The later survey was moved by {axes[0]}, {axes[1]}, {-alignment.plane[0]:+.3f} ± "
        f"{up_u95_m:.3f} m in height, and tilted by {tilt:.2f} mm per metre; "
        f"{1000.0 * alignment.residual_sigma_m:.0f} mm (1 sigma) remain on unchanged ground."
    )
