"""Seals: an inventory with the hashes of all it rests on, and what of it is no longer as it was.

A sealed table is compared by its own rules: with its columns, in its units, rounded as it was. What
a later version shows in addition, or a site that reads yards now, is no change of what was sealed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import select

from app.errors import InvalidInput
from app.extensions import db
from app.models import Period, Photo, Site
from app.queries import inventory, toes
from app.queries.inventory import Inventory
from app.services import exports
from app.units import Units

_MOST_NAMED = 5
_PARTS = {
    "polygons": "toes",
    "photos": "photos",
    "options": "options",
    "software": "software",
    "survey": "the survey",
}


def sealed_document(
    site: Site, found: Inventory, units: Units, digits: Mapping[str, int] = exports.DIGITS
) -> dict[str, Any]:
    """Everything that an inventory says and rests on, fit for JSON."""
    survey = found.survey
    if survey is None:
        raise InvalidInput("There is no survey.", "Process one first.")
    photos = select(Photo.name, Photo.sha256).where(Photo.survey_id == survey.id)
    table = exports.table(found, units, digits)
    return {
        "site": site.name,
        "day": str(found.day),
        "survey": {"id": str(survey.id), "name": survey.name, "flown_on": str(survey.flown_on)},
        "options": survey.facts.get("options", {}),
        "software": survey.facts.get("software", {}),
        "photos": {
            name: digest.hex() for name, digest in db.session.execute(photos.order_by(Photo.name))
        },
        "units": asdict(units),
        "keys": list(table.keys),
        "columns": list(table.header),
        "lines": [[_plain(cell) for cell in row] for row in (*table.rows, table.total)],
        "polygons": {
            toe.pile.name: {
                "coordinates": [[list(place) for place in ring] for ring in outline.coordinates],
                "walls": list(outline.walls),
                "base": toe.options.get("base", {}),
                "software": toe.measurement.details.get("software", ""),
            }
            for toe in toes.of_survey(survey.id)
            if toe.is_confirmed and toe.measurement and (outline := toes.outline(toe))
        },
    }


def seal_of(document: dict[str, Any]) -> bytes:
    """SHA-256 of a document in its one canonical form.

    Examples
    --------
    >>> seal_of({"a": 1, "b": 2}) == seal_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()


def keys(document: dict[str, Any]) -> list[str]:
    """Keys of the columns of a sealed table.

    What was sealed before documents had keys has the words of its time, which are known.
    """
    found: list[str] | None = document.get("keys")
    if found is not None:
        return found
    known = {_without_unit(words): key for key, words in exports.WORDS.items()}
    return [known[_without_unit(words)] for words in document["columns"]]


def rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Lines of a sealed table, cells by the keys of their columns; the total is the last."""
    known = keys(document)
    return [dict(zip(known, line, strict=True)) for line in document["lines"]]


def leading(keys: list[str]) -> list[str]:
    """Keys without the ± of a column that is among them.

    Examples
    --------
    >>> leading(["pile", "area", "area_u95", "ground_u95"])
    ['pile', 'area', 'ground_u95']
    """
    halves = {f"{key}_u95" for key in keys}
    return [key for key in keys if key not in halves]


def differences(period: Period) -> list[str]:
    """What of a sealed period is no longer as it was; empty where all still fits."""
    sealed = period.document
    found = [] if seal_of(sealed) == period.seal else ["the stored inventory"]
    site = db.session.get_one(Site, period.site_id)
    # Areas had one decimal while they had no ±.
    digits = exports.DIGITS | ({} if "area_u95" in keys(sealed) else {"area": 1})
    now = sealed_document(site, inventory.on(site, period.ends_on), units(sealed), digits)
    changed = list(_changes(sealed, now))
    found += changed[:_MOST_NAMED]
    if len(changed) > _MOST_NAMED:
        found.append(f"{len(changed) - _MOST_NAMED} more lines")
    return found + [words for part, words in _PARTS.items() if now[part] != sealed.get(part)]


def _changes(sealed: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Lines that are gone, are new, or say something else in the columns that were sealed."""
    *before, total_before = rows(sealed)
    *after, total = rows(now)
    piles = {row["pile"]: row for row in after}
    for line in before:
        row = piles.pop(line["pile"], None)
        if row is None:
            yield f"{line['pile']} is gone"
        elif words := _unlike(line, row):
            yield f"{words} of {line['pile']}"
    yield from (f"{name} is new" for name in piles)
    if words := _unlike(total_before, total):
        yield f"{words} in total"


def _unlike(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Words of the columns that differ."""
    unlike = [key for key in before if before[key] != now[key]]
    return ", ".join(_without_unit(exports.WORDS[key]) for key in leading(unlike))


def units(document: dict[str, Any]) -> Units:
    """The units that a table was sealed in."""
    said = document.get("units")
    if said is None:
        ends = dict(zip(keys(document), document["columns"], strict=True))
        heads = {"volume": ends["volume"], "mass": ends["mass"], "currency": ends["value"]}
        said = {name: words.split("[")[1].rstrip("]") for name, words in heads.items()}
    # Before lengths had a unit of the site, they were in metres.
    return Units(**{"length": "m"} | said)


def _without_unit(words: str) -> str:
    return words.split(" [")[0]


def _plain(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, date) else cell
