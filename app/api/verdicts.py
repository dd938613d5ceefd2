"""The flight verdict: what is to be said of the photos before anybody starts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint

from app import queues
from app.api.contract import Shape, contract
from app.auth import policy
from app.models import Role
from app.queries import surveys
from app.units import Units

blueprint = Blueprint("verdicts", __name__, url_prefix="/api/v1")


class Verdict(Shape):
    """Findings with what helps, in the units of the site; empty until the photos were looked at."""

    verdict: dict[str, Any]


@blueprint.get("/surveys/<uuid:survey_id>/verdict")
@policy.role(Role.VIEWER)
@contract(answer=Verdict)
def show(survey_id: UUID) -> dict[str, Any]:
    """Show what was said of the photos last."""
    verdict, units = surveys.get(survey_id).verdict, Units.of(policy.current_site())
    findings = [
        finding | {part: units.sentence(finding[part]) for part in ("message", "remedy")}
        for finding in verdict.get("findings", ())
    ]
    return {"verdict": verdict | ({"findings": findings} if verdict else {})}


@blueprint.post("/surveys/<uuid:survey_id>/verdict")
@policy.role(Role.SURVEYOR)
@contract(status=202)
def ask(survey_id: UUID) -> None:
    """Have the photos looked at; it takes seconds."""
    queues.enqueue(queues.SHORT, "app.jobs.judge", str(survey_id), job_id=f"judge-{survey_id}")
