"""Books against measured: does what lies there fit what was produced and sold?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import case, func, select

from app.amount import Amount
from app.errors import NotFound
from app.extensions import db
from app.models import BookEntry, BookKind, Material, Site, Survey, SurveyState
from app.queries import inventory, paging


@dataclass(frozen=True)
class Check:
    """A material between two surveys, in tonnes.

    Parameters
    ----------
    expected_t : Amount
        What was measured first, plus production, minus sales; the books themselves count as exact.
    difference_t : Amount
        Measured minus expected.
    """

    material: Material
    opening_t: Amount
    produced_t: float
    sold_t: float
    expected_t: Amount
    measured_t: Amount
    difference_t: Amount


def get(entry_id: UUID) -> BookEntry:
    """A movement that the request was let in to.

    Raises
    ------
    NotFound
        When it was removed meanwhile.
    """
    entry = db.session.get(BookEntry, entry_id)
    if entry is None:
        raise NotFound("There is no such movement.", "Load the books again.")
    return entry


def entries(site_id: UUID, limit: int = 200) -> list[tuple[BookEntry, str]]:
    """The last movements with the names of their materials."""
    query = (
        select(BookEntry, Material.name)
        .join(Material, Material.id == BookEntry.material_id)
        .where(BookEntry.site_id == site_id)
        .order_by(BookEntry.on.desc(), BookEntry.created_at.desc())
        .limit(limit)
    )
    return [(entry, name) for entry, name in db.session.execute(query)]


def page(site_id: UUID, last: UUID | None, limit: int) -> list[BookEntry]:
    """Movements, the newest first, after one that is known."""
    query = select(BookEntry).where(BookEntry.site_id == site_id)
    order = (BookEntry.on, BookEntry.created_at)
    one_page = paging.page(query, order, BookEntry.id, last, limit, is_descending=True)
    return list(db.session.scalars(one_page))


def survey_days(site_id: UUID) -> list[date]:
    """Days of finished surveys, the newest first."""
    query = select(Survey.flown_on).where(
        Survey.site_id == site_id, Survey.state == SurveyState.READY
    )
    return list(db.session.scalars(query.distinct().order_by(Survey.flown_on.desc())))


def checks(site: Site, start: date, end: date) -> list[Check]:
    """Each material that was measured at both ends, between two surveys.

    A density is uncertain at both ends in the same way: its error scales the difference of the
    volumes, not each of them.
    """
    opening = _by_material(inventory.on(site, start))
    closing = _by_material(inventory.on(site, end))
    moved = _moved(site.id, start, end)
    found = []
    for key, (material, last) in closing.items():
        first = opening.get(key, (material, Amount(0.0, 0.0)))[1]
        value = inventory.value_on(material, end)
        if value is None:
            continue
        produced, sold = moved.get(key, (0.0, 0.0))
        rho, sigma = value.density_t_m3, value.density_sigma_t_m3
        expected = Amount(first.value * rho + produced - sold, first.u95 * rho)
        change = (last - first).by(rho, sigma)
        difference = Amount(change.value - produced + sold, change.u95)
        found.append(
            Check(
                material,
                first.by(rho, sigma),
                produced,
                sold,
                expected,
                last.by(rho, sigma),
                difference,
            )
        )
    return found


def _by_material(found: inventory.Inventory) -> dict[UUID, tuple[Material, Amount]]:
    return {
        item.material.id: (item.material, item.volume_m3)
        for item in found.materials
        if item.material is not None
    }


def _moved(site_id: UUID, start: date, end: date) -> dict[UUID, tuple[float, float]]:
    """Production and sales of each material after one survey, up to and on the day of the next."""
    is_produced = BookEntry.kind == BookKind.PRODUCTION
    query = (
        select(
            BookEntry.material_id,
            func.sum(case((is_produced, BookEntry.mass_t), else_=0.0)),
            func.sum(case((is_produced, 0.0), else_=BookEntry.mass_t)),
        )
        .where(BookEntry.site_id == site_id, BookEntry.on > start, BookEntry.on <= end)
        .group_by(BookEntry.material_id)
    )
    return {key: (produced, sold) for key, produced, sold in db.session.execute(query)}
