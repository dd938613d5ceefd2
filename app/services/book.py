"""Books: production and sales from a CSV file, all of it or nothing."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select

from app.auth.actor import require_actor
from app.errors import InvalidInput
from app.extensions import db
from app.models import BookEntry, BookKind, Site
from app.queries import materials, periods
from app.services import audit
from app.units import Units

MAX_LINES = 50_000
_COLUMNS = ("date", "material", "kind", "mass")
_KINDS = {
    "production": BookKind.PRODUCTION, "produced": BookKind.PRODUCTION, "in": BookKind.PRODUCTION,
    "sale": BookKind.SALE, "sales": BookKind.SALE, "sold": BookKind.SALE, "out": BookKind.SALE,
}  # fmt: skip
_TONNES = {
    "t": 1.0, "tonne": 1.0, "tonnes": 1.0, "kg": 1e-3, "short ton": 0.90718474,
    "short tons": 0.90718474,
}  # fmt: skip
_SHOWN_ERRORS = 10


@dataclass(frozen=True)
class Imported:
    """What came of a file."""

    added: int
    known: int


def import_csv(site: Site, content: bytes) -> Imported:
    """Take the movements of a file; those with a reference that is known are left out.

    Parameters
    ----------
    site : Site
    content : bytes
        Comma, semicolon or tab; a first line ``date, material, kind, mass, reference``; masses in
        the unit of the site unless the header says ``mass [t]``.

    Raises
    ------
    InvalidInput
        With every line that cannot be read; nothing is taken then.
    """
    rows = _rows(_text(content))
    factor = _factor(rows[0], site)
    columns = _places(rows[0])
    known = {material.name.casefold(): material.id for material in materials.of_site(site.id)}
    entries, wrong = [], []
    for number, row in enumerate(rows[1:], start=2):
        try:
            entries.append(_entry(site, row, columns, known, factor))
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN_ERRORS} more" if len(wrong) > _SHOWN_ERRORS else ""
        raise InvalidInput(
            "Nothing was taken: " + "; ".join(wrong[:_SHOWN_ERRORS]) + more + ".",
            "Correct these lines and import the file again.",
            field="file",
        )
    return _save(site, entries)


def remove(entry: BookEntry, site: Site) -> None:
    """Take a movement out of the books."""
    _refuse_closed(site.id, entry.on)
    audit.record(
        "book.remove",
        f"{entry.kind} of {entry.mass_t:g} t on {entry.on}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        reference=entry.reference,
    )
    db.session.delete(entry)
    db.session.commit()


def _save(site: Site, entries: list[BookEntry]) -> Imported:
    query = select(BookEntry.reference).where(
        BookEntry.site_id == site.id, BookEntry.reference != ""
    )
    taken = set(db.session.scalars(query))
    added = 0
    for entry in entries:
        if entry.reference and entry.reference in taken:
            continue
        taken.add(entry.reference)
        entry.created_by = require_actor().user.id
        db.session.add(entry)
        added += 1
    audit.record(
        "book.import",
        f"{added} movements",
        organisation_id=site.organisation_id,
        site_id=site.id,
        known=len(entries) - added,
    )
    db.session.commit()
    return Imported(added, len(entries) - added)


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise InvalidInput("The file is no CSV text.", "Save the sheet as CSV in UTF-8.", "file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What spreadsheets in Europe write when they do not write UTF-8.
        return content.decode("cp1252", errors="replace")


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise InvalidInput(
            "The file has no lines below its header.",
            f"Head it with {', '.join(_COLUMNS)}.",
            "file",
        )
    if len(lines) > MAX_LINES:
        raise InvalidInput(
            f"The file has {len(lines):,} lines.", f"Import at most {MAX_LINES:,} at once.", "file"
        )
    delimiter = max(";\t,", key=lines[0].count)
    return list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))


def _places(header: list[str]) -> dict[str, int]:
    names = [re.split(r"[\[(]", name.strip().casefold())[0].strip() for name in header]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise InvalidInput(
            f"The header {', '.join(header)!r} lacks {', '.join(missing)}.",
            f"Head the file with {', '.join(_COLUMNS)} and, if there is one, reference.",
            field="file",
        )
    return {name: names.index(name) for name in (*_COLUMNS, "reference") if name in names}


def _factor(header: list[str], site: Site) -> float:
    """Tonnes in a unit of the mass column."""
    named = re.search(r"mass\s*[\[(]\s*(.*?)\s*[\])]", " ".join(header).casefold())
    if named is None:
        return 1.0 / Units.of(site).per_t
    if named[1] not in _TONNES:
        raise InvalidInput(
            f"Masses in {named[1]!r} are not understood.",
            "Write the column as mass [t], mass [kg] or mass [short tons].",
            field="file",
        )
    return _TONNES[named[1]]


def _entry(
    site: Site, row: list[str], columns: dict[str, int], known: dict[str, UUID], factor: float
) -> BookEntry:
    if len(row) <= max(columns.values()):
        raise ValueError("it has too few columns")
    cell = {name: row[place].strip() for name, place in columns.items()}
    material = known.get(cell["material"].casefold())
    if material is None:
        raise ValueError(f"there is no material {cell['material']!r} on this site")
    kind = _KINDS.get(cell["kind"].casefold())
    if kind is None:
        raise ValueError(f"{cell['kind']!r} is neither production nor sale")
    day, mass = _day(cell["date"]), _number(cell["mass"]) * factor
    closed = periods.closing(site.id, day)
    if closed is not None:
        raise ValueError(f"{day} lies in the closed period {closed.name!r}")
    return BookEntry(
        site_id=site.id,
        material_id=material,
        on=day,
        kind=kind,
        mass_t=mass,
        reference=cell.get("reference", "")[:200],
    )


def _day(text: str) -> date:
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text)
    try:
        if match:
            return date(int(match[3]), int(match[2]), int(match[1]))
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date like 2026-11-20 or 20.11.2026") from None


def _number(text: str) -> float:
    """A mass with a point or a comma, thousands apart by the other sign, a space or nothing.

    One sign before three digits may be either; no inventory may guess by a factor of a thousand.
    """
    plain = re.sub(r"[\s'\u00a0\u202f]", "", text)
    if "," in plain and "." in plain:
        last = max(plain.rfind(","), plain.rfind("."))
        plain = re.sub(r"[.,]", "", plain[:last]) + "." + plain[last + 1 :]
    elif re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", plain):
        raise ValueError(f"{text!r} may be {re.sub('[.,]', '', plain)} or a thousandth of that")
    else:
        plain = plain.replace(",", ".")
    if not re.fullmatch(r"\d+(\.\d+)?", plain):
        raise ValueError(f"{text!r} is no mass above 0")
    return float(plain)


def _refuse_closed(site_id: UUID, day: date) -> None:
    closed = periods.closing(site_id, day)
    if closed is not None:
        raise InvalidInput(
            f"{day} lies in the closed period {closed.name!r}.", "Amend the period first."
        )
