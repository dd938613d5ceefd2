"""Pages for people, made on the server. One noun a file."""

from __future__ import annotations

from flask import Blueprint


def blueprints() -> tuple[Blueprint, ...]:
    """All pages."""
    from app.pages import (
        book,
        exports,
        home,
        inventory,
        materials,
        periods,
        sign_in,
        sites,
        surveys,
    )

    return tuple(
        part.blueprint
        for part in (
            book,
            exports,
            home,
            inventory,
            materials,
            periods,
            sign_in,
            sites,
            surveys,
        )
    )
