"""Pages for people, made on the server. One noun a file."""

from __future__ import annotations

from flask import Blueprint


def blueprints() -> tuple[Blueprint, ...]:
    """All pages."""
    from app.pages import home, sign_in

    return (home.blueprint, sign_in.blueprint)
