"""A site with a history, filled in without photos: a cone that grows from week to week."""

from datetime import date, timedelta

from flask import g

from app.auth.actor import Actor
from app.models import Site
from app.outline import Base, Outline
from app.services import accounts, book, carrying, materials, periods, sites, toes
from tests.app.surveys import HEIGHT_M, circle, ready_survey

WEEKS = 3


def fill(app, email):
    """Fill the site of an administrator; returns the addresses of its pages."""
    actor = g.actor = Actor(accounts.with_email(email))
    site = sites.create(actor, {"name": "Grown quarry", "survey_weekday": 0})
    gravel = materials.create(site, "Gravel", "#7d8a96")
    known = {"density_t_m3": 1.65, "density_sigma_t_m3": 0.04, "price_per_t": 14.0}
    days = [date.today() - timedelta(weeks=WEEKS - week) for week in range(WEEKS)]
    materials.state(gravel, {"valid_from": days[0] - timedelta(days=30)} | known)
    flown = [
        ready_survey(
            app, site, flown_on=day, name=f"Week {week + 1}", height_m=(1 + 0.2 * week) * HEIGHT_M
        )
        for week, day in enumerate(days)
    ]
    outline = Outline(circle()["coordinates"])
    for survey in flown[:-1]:
        drawn = toes.save(survey, toes.Draft("Gravel 16-32", None, gravel.id, outline, Base()))
    carrying.search(flown[-1].id)
    sold = days[0] + timedelta(days=2)
    book.import_csv(site, f"date;material;kind;mass [t]\n{sold};Gravel;sale;12,5\n".encode())
    period = periods.close(site, "The first week", days[0])
    return _addresses(site, flown, drawn.pile_id, period.id)


def _addresses(site: Site, flown, pile_id, period_id):
    pages = ("inventory", "surveys", "surveys/new", "materials", "book", "periods", "settings")
    own = {name: f"/sites/{site.id}/{name}" for name in pages}
    help_pages = ("", "fly", "control", "send", "toe", "base", "plus-minus")
    return own | {
        "sites": "/sites",
        "sites/new": "/sites/new",
        "survey": f"/surveys/{flown[0].id}",
        "model": f"/surveys/{flown[-1].id}/view",
        "map": f"/surveys/{flown[-1].id}/map",
        "pile": f"/piles/{pile_id}",
        "period": f"/periods/{period_id}",
        "organisation": "/organisation",
        "workers": "/workers",
        "account": "/account",
        "password": "/password",
        "nothing": "/nothing",
        **{f"help/{topic}": f"/help/{topic}" for topic in help_pages},
    }
