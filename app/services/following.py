"""What follows a finished survey: aligned, piles found, carried over and measured, people told.

Each step may be done again without harm, and the survey says once all are done, so whoever finds
one that does not say so begins anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app import queues, turns
from app.extensions import db
from app.models import Run, Site, Survey, SurveyState, Toe
from app.queries import surveys, toes
from app.services import aligning, carrying, notices, proposing
from app.services.notices import News
from app.units import Units

FOLLOW = "app.jobs.follow"


def send(survey_id: UUID) -> None:
    """Have a worker do what follows a survey."""
    queues.enqueue(queues.SHORT, FOLLOW, str(survey_id), job_id=f"follow-{survey_id}")


def send_all() -> int:
    """Have workers do what follows surveys and was not done; returns how many."""
    query = select(Survey.id).where(Survey.state == SurveyState.READY, Survey.followed_at.is_(None))
    found = db.session.scalars(query).all()
    for survey_id in found:
        send(survey_id)
    return len(found)


def follow(survey_id: UUID) -> bool:
    """Do what follows a survey, unless it is done or another worker is at it."""
    with turns.alone(f"follow-{survey_id}") as is_ours:
        survey = db.session.get(Survey, survey_id) if is_ours else None
        if survey is None or survey.followed_at is not None or survey.state != SurveyState.READY:
            return False
        survey.alignment = aligning.align(survey)
        db.session.commit()
        carrying.search(survey_id)
        site = db.session.get_one(Site, survey.site_id)
        notices.tell(site, _measured(survey, site))
        survey.followed_at = datetime.now(UTC)
        db.session.commit()
        return True


def tell_failure(run: Run, survey: Survey, site: Site) -> None:
    """Tell that a run failed and why, within the caller's transaction."""
    reason, remedy = (str(run.failure.get(name, "")) for name in ("reason", "remedy"))
    facts = {"survey": str(survey.id), "flown_on": str(survey.flown_on)} | run.failure
    notices.tell(
        site,
        News(
            f"failed-{run.id}",
            "survey.failed",
            facts,
            f"{site.name}: the survey of {survey.flown_on} failed",
            f"{survey.name} could not be processed.\n\n{reason}\n{remedy}\n\n"
            f"{notices.link(f'/surveys/{survey.id}')}\n",
        ),
    )


def _measured(survey: Survey, site: Site) -> News:
    units, found = Units.of(site), toes.of_survey(survey.id)
    before = surveys.previous(survey)
    earlier = [] if before is None else [t for t in toes.of_survey(before.id) if t.is_confirmed]
    gone = sorted({toe.pile.name for toe in earlier} - {toe.pile.name for toe in found})
    new = [item for item in proposing.of_survey(survey) if item.pile is None]
    run = db.session.scalar(
        select(Run.id).where(Run.survey_id == survey.id).order_by(Run.created_at.desc()).limit(1)
    )
    facts: dict[str, Any] = {
        "survey": str(survey.id),
        "flown_on": str(survey.flown_on),
        "carried": len(found),
        "gone": gone,
        "proposed": len(new),
        "alignment": survey.alignment,
    }
    lines = [
        *[_line(toe, units) for toe in found],
        *[f"{name}: nothing is left of it, or it could not be carried over" for name in gone],
        *([f"{_piles(len(new))} proposed that nobody has drawn"] if new else []),
        *(["", said] if (said := aligning.statement(survey.alignment, units)) else []),
    ]
    text = "\n".join(lines) if lines else "No piles were found."
    waiting = len(new) + sum(not toe.is_confirmed for toe in found)
    subject = f"{_piles(waiting)} of {survey.flown_on} to review"
    return News(
        f"measured-{survey.id}-{run}",
        "survey.measured",
        facts,
        f"{site.name}: {subject if waiting else f'the survey of {survey.flown_on} is measured'}",
        f"{survey.name} is processed. Nothing counts before you have seen it:\n"
        f"{notices.link(f'/surveys/{survey.id}/view')}\n\n{text}\n",
    )


def _piles(count: int) -> str:
    return "1 pile" if count == 1 else f"{count} piles"


def _line(toe: Toe, units: Units) -> str:
    measured = toe.measurement
    if measured is None:
        return f"{toe.pile.name}: not measured"
    change = toe.options.get("carried", {}).get("change", "drawn")
    shown = measured.volume_m3 * units.per_m3
    symbol = units.volume
    return f"{toe.pile.name}: {shown.value:,.0f} {symbol} ± {shown.u95:,.0f} {symbol} ({change})"
