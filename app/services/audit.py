"""The audit log: who changed what."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import has_request_context, request

from app.auth.actor import current_actor
from app.extensions import db
from app.models import AuditEvent


def record(
    action: str,
    subject: str,
    *,
    organisation_id: UUID,
    site_id: UUID | None = None,
    user_id: UUID | None = None,
    **details: Any,
) -> None:
    """Add a line to the audit log, within the caller's transaction.

    Parameters
    ----------
    action : str
        What was done, as ``noun.verb``.
    subject : str
        To what, as people call it.
    organisation_id, site_id, user_id : UUID
        Whose, where, and by whom; the actor of the request where not given.
    **details
        What else is worth knowing, fit for JSON. Never a secret.
    """
    actor = current_actor()
    token = None if actor is None else actor.token
    db.session.add(
        AuditEvent(
            organisation_id=organisation_id,
            site_id=site_id,
            user_id=user_id or (None if actor is None else actor.user.id),
            token_id=None if token is None else token.id,
            action=action,
            subject=subject[:300],
            details=details,
            address=(request.remote_addr or "")[:45] if has_request_context() else "",
        )
    )
