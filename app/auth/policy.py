"""Every view has a rule, and the rule runs before the view: authorisation by construction.

A view is public, or needs somebody signed in, or an administrator, or a role on a site. The site is
found from the identifiers in the address: `site_id`, or anything that belongs to a site
(`survey_id`, `toe_id`, …). Where the person has no role there, the answer is "not found": nobody
learns of things that are not theirs. An application with a view without a rule does not start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, abort, g, request
from sqlalchemy import Select, select

from app.auth.actor import ACTION, ADMINISTER, Actor, require_actor
from app.errors import NotAllowed, NotFound
from app.extensions import db
from app.models import (
    BookEntry,
    Material,
    Period,
    Pile,
    Role,
    Run,
    Site,
    Survey,
    Toe,
    Upload,
)

View = TypeVar("View", bound=Callable[..., Any])


class Who(Enum):
    """Whom a view is for."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed in"
    ADMIN = "admin"
    SITE = "site"


@dataclass(frozen=True)
class Rule:
    """Whom a view is for; `role` for views of a site."""

    who: Who
    role: Role = Role.VIEWER


_SITE_OF: dict[str, Callable[[UUID], Select[tuple[Site]]]] = {
    "site_id": lambda key: select(Site).where(Site.id == key),
    "survey_id": lambda key: select(Site).join(Survey).where(Survey.id == key),
    "run_id": lambda key: select(Site).join(Survey).join(Run).where(Run.id == key),
    "upload_id": lambda key: select(Site).join(Survey).join(Upload).where(Upload.id == key),
    "toe_id": lambda key: select(Site).join(Survey).join(Toe).where(Toe.id == key),
    "pile_id": lambda key: select(Site).join(Pile).where(Pile.id == key),
    "material_id": lambda key: select(Site).join(Material).where(Material.id == key),
    "period_id": lambda key: select(Site).join(Period).where(Period.id == key),
    "entry_id": lambda key: select(Site).join(BookEntry).where(BookEntry.id == key),
}


def anybody(view: View) -> View:
    """Let strangers in: sign-in, health, the API's description."""
    return _with_rule(view, Rule(Who.ANYBODY))


def signed_in(view: View) -> View:
    """Let in whoever is signed in. The view must look at nothing but the actor's own things."""
    return _with_rule(view, Rule(Who.SIGNED_IN))


def admin(view: View) -> View:
    """Let in administrators of an organisation, to its own things."""
    return _with_rule(view, Rule(Who.ADMIN))


def role(least: Role) -> Callable[[View], View]:
    """Let in whoever has at least a role on the site that the address belongs to."""
    return lambda view: _with_rule(view, Rule(Who.SITE, least))


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """The rule of a view, or None where it has none."""
    if endpoint == "static":
        return Rule(Who.ANYBODY)
    return getattr(app.view_functions[endpoint], "rule", None)


def check_rules(app: Flask) -> None:
    """Refuse an application with an open door.

    Raises
    ------
    RuntimeError
        Naming the views without a rule, and the views of a site whose address names none.
    """
    for route in app.url_map.iter_rules():
        found = rule_of(app, route.endpoint)
        if found is None:
            raise RuntimeError(f"{route.endpoint} ({route}) has no rule of app.auth.policy.")
        if found.who is Who.SITE and not _SITE_OF.keys() & route.arguments:
            raise RuntimeError(f"{route.endpoint} ({route}) is for a site but names none.")


def enforce(app: Flask) -> None:
    """Let through, or refuse, the current request.

    Raises
    ------
    NotSignedIn, NotAllowed, NotFound
    """
    if request.endpoint is None or request.method == "OPTIONS":
        return
    found = rule_of(app, request.endpoint)
    if found is None:
        abort(404)
    if found.who is Who.ANYBODY:
        return
    actor = require_actor()
    if found.who is Who.ADMIN:
        if not actor.is_admin():
            raise NotAllowed("This is for administrators.", "Ask one of your organisation.")
        _check_token(actor, ADMINISTER)
    elif found.who is Who.SITE:
        _check_site(actor, found.role)
    else:
        _check_token(actor, ACTION[Role.VIEWER])


def current_site() -> Site:
    """The site that the current request was let in to."""
    site: Site = g.site
    return site


def current_role() -> Role:
    """The role that the actor has on the current site."""
    found: Role = g.role
    return found


def _with_rule(view: View, rule: Rule) -> View:
    view.rule = rule  # type: ignore[attr-defined]
    return view


def _check_token(actor: Actor, action: str) -> None:
    if not actor.may(action):
        raise NotAllowed(f"The token may not {action}.", f"Make one that names {action!r}.")


def _check_site(actor: Actor, least: Role) -> None:
    keys = [(name, key) for name, key in (request.view_args or {}).items() if name in _SITE_OF]
    found = {db.session.scalar(_SITE_OF[name](key)) for name, key in keys}
    # A toe of one site under the address of another is nobody's.
    site = found.pop() if len(found) == 1 else None
    role = None if site is None else actor.role_on(site)
    if site is None or role is None:
        raise NotFound("There is no such thing here.", "Check the address.")
    _check_token(actor, ACTION[least])
    if role < least:
        raise NotAllowed(
            f"This needs the role {least.name.lower()}; yours here is {role.name.lower()}.",
            "Ask a manager of the site.",
        )
    g.site, g.role = site, role
