"""What every template may use: the actor, built assets, and numbers in the reader's way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from flask import Flask, g, request
from flask_babel import format_date, format_datetime, format_decimal
from markupsafe import Markup

from app.amount import Amount
from app.assets import Assets
from app.auth.actor import current_actor
from app.locales import LOCALES
from app.models import Site
from app.units import Units

_DIST = Path(__file__).parent / "static" / "dist"


def locale() -> str:
    """The locale of numbers and dates: what the person chose, else what the browser asks for."""
    actor = current_actor() if request else None
    if actor is not None and actor.user.locale in LOCALES:
        return actor.user.locale
    best = request.accept_languages.best_match([name.replace("_", "-") for name in LOCALES])
    return (best or "en").replace("-", "_")


def install(app: Flask) -> None:
    """Give the templates of an application their helpers."""
    assets = Assets(_DIST, "/static/dist/")
    app.jinja_env.filters.update(
        number=number,
        plus_minus=plus_minus,
        site_volume=site_volume,
        amount=amount,
        date=day,
        moment=format_datetime,
        size=size,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["has_page"] = lambda endpoint: endpoint in app.view_functions
    app.context_processor(
        lambda: {
            "actor": current_actor(),
            "assets": assets,
            "locale": locale(),
            "site": g.get("site"),
            "role": g.get("role"),
        }
    )


def number(value: float | None, digits: int = 0) -> str:
    """A number in the reader's locale; a dash where there is none."""
    if value is None:
        return "–"
    text: str = format_decimal(round(value, digits), format=_pattern(digits))
    # A hyphen is no minus.
    return text.replace("-", "\u2212")


def plus_minus(u95: float) -> str:
    """Half the width of a 95 % interval, with its sign and the digits that are worth showing."""
    return f"± {number(u95, Amount(0.0, u95).digits)}"


def amount(value: Amount | None, factor: float = 1.0) -> str:
    """An amount with its ±, both with the digits that are worth showing."""
    if value is None:
        return "–"
    shown = value * factor
    text = number(shown.value, shown.digits)
    return Markup('{} <span class="pm">± {}</span>').format(text, number(shown.u95, shown.digits))


def site_volume(value: Amount, site: Site) -> str:
    """A volume with its ±, in the units of a site."""
    units = Units.of(site)
    return Markup('{} <span class="pm">{}</span>').format(amount(value, units.per_m3), units.volume)


def day(value: date) -> str:
    """A date in the reader's way, kept on one line."""
    text: str = format_date(value)
    return text.replace(" ", "\u00a0")


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{number(count / bytes_, 1)} {unit}"
    return f"{number(count)} bytes"


def _pattern(digits: int) -> str:
    return "#,##0" + ("." + "0" * digits if digits else "")
