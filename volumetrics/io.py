"""Results on disk: a table for people and spreadsheets, and JSON with every budget."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from volumetrics.files.whole import whole
from volumetrics.method_spread import spread_m3
from volumetrics.site import Site
from volumetrics.uncertainty import REFERENCES, Budget
from volumetrics.volume import Volume

COLUMNS = (
    "pile", "base", "area_m2", "area_u95_m2", "fill_m3", "cut_m3", "net_m3", "net_u95_m3",
    "fill_u95_m3", "cut_u95_m3", "ground_u95_m3", "method_spread_m3", "height_max_m",
    "height_max_u95_m", "height_mean_m", "height_mean_u95_m", "coverage",
    "holes", "hole_area_m2", "excluded_area_m2", "net_with_excluded_m3",
    "wet_t", "wet_u95_t", "dry_t", "dry_u95_t", "warnings", "refused",
)  # fmt: skip


def write_csv(site: Site, path: Path) -> None:
    """Write one row a pile; a refused pile has its reason and no numbers."""
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="")
        table.writeheader()
        table.writerows(_text(table_row(volume)) for volume in site.volumes)
        table.writerows({"pile": name, "refused": why} for name, why in site.refused.items())


def table_row(volume: Volume) -> dict[str, Any]:
    """A volume as one row of a table: some of `COLUMNS`, all in the units that they name."""
    mass = asdict(volume.tonnes) if volume.tonnes else {}
    return _numbers(volume) | mass | {"warnings": "; ".join(volume.warnings)}


def _numbers(volume: Volume) -> dict[str, Any]:
    return {
        "pile": volume.pile,
        "base": volume.base,
        "area_m2": volume.area_m2,
        "area_u95_m2": volume.u95.area_m2,
        "fill_m3": volume.fill_m3,
        "cut_m3": volume.cut_m3,
        "net_m3": volume.net_m3,
        "net_u95_m3": volume.net_u95_m3,
        "fill_u95_m3": volume.fill_u95_m3,
        "cut_u95_m3": volume.cut_u95_m3,
        "ground_u95_m3": volume.ground_u95_m3,
        "method_spread_m3": spread_m3(volume.method_nets_m3),
        "height_max_m": volume.height_max_m,
        "height_max_u95_m": volume.u95.height_max_m,
        "height_mean_m": volume.height_mean_m,
        "height_mean_u95_m": volume.u95.height_mean_m,
        "coverage": volume.coverage,
        "holes": volume.hole_count,
        "hole_area_m2": volume.hole_area_m2,
        "excluded_area_m2": volume.excluded_area_m2,
        "net_with_excluded_m3": volume.net_with_excluded_m3,
    }


def _text(row: dict[str, Any]) -> dict[str, str]:
    """The row with as many digits as mean something."""
    digits = {"coverage": 4}
    return {
        name: f"{value:.{digits.get(name, 3)}f}" if isinstance(value, float) else str(value)
        for name, value in row.items()
        if value is not None
    }


def write_json(site: Site, path: Path, about: dict[str, Any]) -> None:
    """Write everything that is known about the volumes.

    Parameters
    ----------
    site : Site
    path : Path
    about : dict
        What was measured and with what: surface, CRS, software.
    """
    mass = site.tonnes()
    document = about | {
        "piles": [pile_document(volume) for volume in site.volumes],
        "refused": [{"pile": name, "reason": why} for name, why in site.refused.items()],
        "total": {
            name: {"value_m3": value, **_budget(budget)}
            for name, (value, budget) in site.totals().items()
        },
        "total_tonnes": asdict(mass) if mass else None,
        "warnings": list(site.warnings),
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def pile_document(volume: Volume) -> dict[str, Any]:
    """Everything that is known about a volume, fit for JSON."""
    return _numbers(volume) | {
        "base_facts": dict(volume.base_facts),
        "tonnes": asdict(volume.tonnes) if volume.tonnes else None,
        "method_nets_m3": dict(volume.method_nets_m3),
        "noise": {
            "source": volume.noise.source,
            "components": [
                {"sigma_m": part.sigma_m, "range_m": part.range_m}
                for part in volume.noise.components
            ],
        },
        "budgets": {name: _budget(budget) for name, budget in volume.budgets.items()},
        "warnings": list(volume.warnings),
    }


def _budget(budget: Budget) -> dict[str, Any]:
    terms: Sequence[dict[str, Any]] = [
        {
            "name": term.name,
            "sigma_m3": term.sigma_m3,
            "variance_m6": term.variance_m6,
            "effect_m3": term.effect_m3,
            "reference": REFERENCES[term.name],
        }
        for term in budget.terms
    ]
    return {
        "sigma_m3": budget.sigma_m3,
        "coverage_factor": budget.coverage_factor,
        "u95_m3": budget.u95_m3,
        "terms": terms,
    }
