"""Pages for people, made on the server. One noun a file."""

from __future__ import annotations

from flask import Blueprint


def blueprints() -> tuple[Blueprint, ...]:
    """All pages."""
    from app.pages import exports, home, inventory, sign_in, sites, surveys

    return tuple(part.blueprint for part in (exports, home, inventory, sign_in, sites, surveys))
