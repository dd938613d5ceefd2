"""Monthly reports by mail: whether one gets those of a site."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from app.api.contract import Shape, check_version, contract
from app.auth import policy
from app.auth.actor import require_actor
from app.models import Role
from app.services import reports

blueprint = Blueprint("reports", __name__, url_prefix="/api/v1")


class Subscription(Shape):
    """Whether you get the inventory of each month as a PDF by mail."""

    is_wanted: bool


@blueprint.get("/sites/<uuid:site_id>/monthly-report")
@policy.role(Role.VIEWER)
@contract(answer=Subscription)
def show(site_id: UUID) -> Subscription:
    """Tell whether you get the monthly reports of a site."""
    return Subscription(is_wanted=reports.is_reader(policy.current_site(), require_actor().user))


@blueprint.put("/sites/<uuid:site_id>/monthly-report")
@policy.role(Role.VIEWER)
@contract(body=Subscription, answer=Subscription)
def update(site_id: UUID, body: Subscription) -> Subscription:
    """Get the monthly reports of a site, or no longer."""
    site, user = policy.current_site(), require_actor().user
    check_version(Subscription, Subscription(is_wanted=reports.is_reader(site, user)))
    reports.set_reader(site, user, is_wanted=body.is_wanted)
    return body
