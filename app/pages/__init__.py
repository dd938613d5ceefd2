"""Pages for people, made on the server. One noun a file."""

from __future__ import annotations

from flask import Blueprint


def blueprints() -> tuple[Blueprint, ...]:
    """All pages."""
    from app.pages import (
        account,
        book,
        help,
        home,
        inboxes,
        inventory,
        materials,
        organisation,
        periods,
        sign_in,
        single_sign_on,
        sites,
        surveys,
        workers,
    )

    parts = (
        account, book, help, home, inboxes, inventory, materials, organisation, periods,
        sign_in, single_sign_on, sites, surveys, workers,
    )  # fmt: skip
    return tuple(part.blueprint for part in parts)
