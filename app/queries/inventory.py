"""The inventory of a site on a day: what lay there by the newest survey up to it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import Row, func, select

from app.amount import NORMAL_95, Amount, Part, total, weighted
from app.extensions import db
from app.models import Material, MaterialValue, Measurement, Pile, Site, Survey, SurveyState, Toe
from app.queries import materials

# Relative half-widths up to which a volume is good, and fair.
_GOOD, _FAIR = 0.02, 0.05
# Half-widths that no sum needs stand in the details of a measurement.
_U95 = ("height_max_u95_m", "area_u95_m2", "ground_u95_m3")


@dataclass(frozen=True)
class Line:
    """One pile of an inventory.

    Parameters
    ----------
    mass_t, value : Amount or None
        None where density or price are not known.
    change_m3 : Amount or None
        Since `since`; None for a pile that was not measured before.
    ground_u95_m3 : float
        What uneven ground may hide under the pile, which no ± holds; see `volumetrics.volume`.
    """

    pile_id: UUID
    toe_id: UUID
    name: str
    material: Material | None
    volume_m3: Amount
    mass_t: Amount | None
    value: Amount | None
    change_m3: Amount | None
    since: date | None
    ground_u95_m3: float
    height_m: Amount
    area_m2: Amount
    coverage: float
    base: str

    @property
    def confidence(self) -> str:
        """How far the volume can be relied on, in a word."""
        if self.coverage < 0.97 or self.volume_m3.share > _FAIR:
            return "low"
        return "good" if self.volume_m3.share <= _GOOD else "fair"


@dataclass(frozen=True)
class MaterialTotal:
    """All piles of a material."""

    material: Material | None
    piles: int
    volume_m3: Amount
    mass_t: Amount | None
    value: Amount | None


@dataclass(frozen=True)
class Inventory:
    """What lay on a site.

    Parameters
    ----------
    survey : Survey or None
        The newest finished one up to the day; None before the first.
    missing : tuple of str
        Piles of the survey before that this one does not have: gone, or not drawn yet.
    unconfirmed : int
        Proposed toes that nobody confirmed; they are not counted.
    """

    day: date
    survey: Survey | None
    lines: tuple[Line, ...] = ()
    materials: tuple[MaterialTotal, ...] = ()
    volume_m3: Amount = field(default_factory=lambda: Amount(0.0, 0.0))
    ground_u95_m3: float = 0.0
    mass_t: Amount | None = None
    value: Amount | None = None
    missing: tuple[str, ...] = ()
    unconfirmed: int = 0


def on(site: Site, day: date) -> Inventory:
    """The inventory of a site on a day."""
    surveys = _last_two(site.id, day)
    if not surveys:
        return Inventory(day, None)
    survey = surveys[0]
    rows = _rows([found.id for found in surveys])
    known = {material.id: material for material in materials.of_site(site.id)}
    now = [row for row in rows if row.survey_id == survey.id]
    before = {row.pile_id: row for row in rows if row.survey_id != survey.id and row.is_confirmed}
    counted = [row for row in now if row.is_confirmed]
    earlier = surveys[1].flown_on if len(surveys) > 1 else None
    lines = tuple(
        _line(row, known, survey.flown_on, before.get(row.pile_id), earlier) for row in counted
    )
    present = {row.pile_id for row in now}
    missing = tuple(sorted(row.name for key, row in before.items() if key not in present))
    totals = _by_material(counted, known, survey.flown_on)
    return Inventory(
        day=day,
        survey=survey,
        lines=lines,
        materials=totals,
        volume_m3=total(_part(row) for row in counted),
        # What one pile hides says nothing of what another does.
        ground_u95_m3=math.hypot(*(line.ground_u95_m3 for line in lines)),
        mass_t=_sum(item.mass_t for item in totals),
        value=_sum(item.value for item in totals),
        missing=missing,
        unconfirmed=sum(not row.is_confirmed for row in now),
    )


def value_on(material: Material | None, day: date) -> MaterialValue | None:
    """Density, moisture and price of a material on a day."""
    if material is None:
        return None
    valid = [value for value in material.values if value.valid_from <= day]
    return valid[-1] if valid else None


def _last_two(site_id: UUID, day: date) -> list[Survey]:
    query = select(Survey).where(
        Survey.site_id == site_id, Survey.state == SurveyState.READY, Survey.flown_on <= day
    )
    newest = query.order_by(Survey.flown_on.desc(), Survey.created_at.desc()).limit(2)
    return list(db.session.scalars(newest))


def _rows(survey_ids: list[UUID]) -> list[Row]:
    query = (
        select(
            Toe.id,
            Toe.survey_id,
            Toe.pile_id,
            Toe.is_confirmed,
            Pile.name,
            Pile.material_id,
            Measurement.net_m3,
            Measurement.own_sigma_m3,
            Measurement.scale_effect_m3,
            Measurement.bias_effect_m3,
            Measurement.height_max_m,
            Measurement.area_m2,
            Measurement.coverage,
            Measurement.base,
            *(Measurement.details[name].as_float().label(name) for name in _U95),
        )
        .join(Measurement, Measurement.toe_id == Toe.id)
        .join(Pile, Pile.id == Toe.pile_id)
        .where(Toe.survey_id.in_(survey_ids), Toe.superseded_at.is_(None))
        .order_by(func.lower(Pile.name))
    )
    return list(db.session.execute(query))


def _part(row: Row) -> Part:
    return Part(row.net_m3, row.own_sigma_m3, row.scale_effect_m3, row.bias_effect_m3)


def _line(
    row: Row, known: dict[UUID, Material], day: date, before: Row | None, earlier: date | None
) -> Line:
    material = known.get(row.material_id)
    volume = _part(row).amount
    mass, money = _mass_and_value([row], value_on(material, day))
    return Line(
        pile_id=row.pile_id,
        toe_id=row.id,
        name=row.name,
        material=material,
        volume_m3=volume,
        mass_t=mass,
        value=money,
        change_m3=None if before is None else volume - _part(before).amount,
        since=None if before is None else earlier,
        ground_u95_m3=row.ground_u95_m3 or 0.0,
        height_m=Amount(row.height_max_m, row.height_max_u95_m or 0.0),
        area_m2=Amount(row.area_m2, row.area_u95_m2 or 0.0),
        coverage=row.coverage,
        base=row.base,
    )


def _by_material(
    rows: list[Row], known: dict[UUID, Material], day: date
) -> tuple[MaterialTotal, ...]:
    groups: dict[UUID | None, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.material_id].append(row)
    found = []
    for key, group in groups.items():
        material = None if key is None else known.get(key)
        mass, money = _mass_and_value(group, value_on(material, day))
        volume = total(_part(row) for row in group)
        found.append(MaterialTotal(material, len(group), volume, mass, money))
    return tuple(
        sorted(found, key=lambda item: item.material.name.lower() if item.material else "~")
    )


def _mass_and_value(
    rows: list[Row], value: MaterialValue | None
) -> tuple[Amount | None, Amount | None]:
    """Mass and worth of piles of one material; its density errs for all of them alike."""
    if value is None:
        return None, None
    mass = weighted((_part(row), value.density_t_m3, value.density_sigma_t_m3) for row in rows)
    if value.price_per_t is None:
        return mass, None
    return mass, mass.by(value.price_per_t, value.price_sigma_per_t)


def _sum(amounts: Iterable[Amount | None]) -> Amount | None:
    """Sum over materials; None where none is known.

    What the survey's scale adds to all materials alike is small beside their densities, which
    differ by chance, so they add in quadrature.
    """
    known = [amount for amount in amounts if amount is not None]
    if not known:
        return None
    return Amount(sum(a.value for a in known), math.hypot(*(a.u95 for a in known)))


def trend(site_id: UUID, pile_id: UUID | None = None) -> list[tuple[date, Amount]]:
    """Volume of all confirmed piles, or of one, at each finished survey, the oldest first."""
    own = func.sum(Measurement.own_sigma_m3 * Measurement.own_sigma_m3)
    query = (
        select(
            Survey.flown_on,
            func.sum(Measurement.net_m3),
            own,
            func.sum(Measurement.scale_effect_m3),
            func.sum(Measurement.bias_effect_m3),
        )
        .join(Toe, Toe.survey_id == Survey.id)
        .join(Measurement, Measurement.toe_id == Toe.id)
        .where(
            Survey.site_id == site_id,
            Survey.state == SurveyState.READY,
            Toe.superseded_at.is_(None),
            Toe.is_confirmed,
        )
        .group_by(Survey.id)
        .order_by(Survey.flown_on)
    )
    if pile_id is not None:
        query = query.where(Toe.pile_id == pile_id)
    return [
        (day, Amount(net, NORMAL_95 * math.sqrt(variance + scale**2 + bias**2)))
        for day, net, variance, scale, bias in db.session.execute(query)
    ]
