"""The API, version 1: JSON below /api/v1, errors as RFC 9457. One noun a file."""

from __future__ import annotations

from flask import Blueprint


def blueprints() -> tuple[Blueprint, ...]:
    """All parts of the API."""
    from app.api import (
        account,
        book,
        deliveries,
        health,
        inboxes,
        inventory,
        materials,
        openapi,
        organisation,
        periods,
        proposals,
        reports,
        runs,
        sites,
        surveys,
        toes,
        uploads,
        verdicts,
        webhooks,
    )

    parts = (
        account, book, deliveries, health, inboxes, inventory, materials, openapi, organisation,
        periods, proposals, reports, runs, sites, surveys, toes, uploads, verdicts, webhooks,
    )  # fmt: skip
    return tuple(part.blueprint for part in parts)
