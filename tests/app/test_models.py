"""The rows on a real PostGIS: tables are made, constraints hold, deleting a site leaves nothing."""

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.models import Material, Measurement, Organisation, Pile, Site, Survey, Toe, User

SQUARE = "POLYGON Z ((0 0 5, 10 0 5, 10 10 6, 0 10 6, 0 0 5))"


@pytest.fixture(scope="module")
def engine(database_url, make_app):
    """The database with the tables that the migrations made."""
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine):
    """A session whose work is undone."""
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture
def site(session):
    organisation = Organisation(name="North Quarries")
    session.add(organisation)
    session.flush()
    site = Site(organisation_id=organisation.id, name="Pit 1")
    session.add(site)
    session.flush()
    return site


def test_a_pile_is_measured_and_goes_with_its_site(session, site):
    material = Material(site_id=site.id, name="0/32")
    survey = Survey(site_id=site.id, name="Week 47", flown_on=date(2026, 11, 20))
    session.add_all([material, survey])
    session.flush()
    pile = Pile(site_id=site.id, name="A", material_id=material.id)
    session.add(pile)
    session.flush()
    toe = Toe(pile_id=pile.id, survey_id=survey.id, polygon=SQUARE)
    session.add(toe)
    session.flush()
    numbers = dict.fromkeys(
        ("net_m3", "own_sigma_m3", "net_u95_m3", "fill_m3", "cut_m3", "area_m2", "height_max_m"),
        1.0,
    )
    session.add(
        Measurement(toe_id=toe.id, coverage=1.0, base="plane", measured_at=sa.func.now(), **numbers)
    )
    session.flush()
    area_and_highest = sa.select(sa.func.ST_Area(Toe.polygon), sa.func.ST_ZMax(Toe.polygon))
    assert session.execute(area_and_highest.where(Toe.id == toe.id)).one() == (100.0, 6.0)
    rows = (Pile, Survey, Toe, Measurement, Material)
    counts = [sa.select(sa.func.count()).select_from(row).scalar_subquery() for row in rows]
    before = session.execute(sa.select(*counts)).one()
    session.execute(sa.delete(Site).where(Site.id == site.id))
    after = session.execute(sa.select(*counts)).one()
    assert [old - new for old, new in zip(before, after, strict=True)] == [1] * len(rows)


def test_a_pile_has_one_current_toe_a_survey(session, site):
    survey = Survey(site_id=site.id, name="Week 47", flown_on=date(2026, 11, 20))
    pile = Pile(site_id=site.id, name="A")
    session.add_all([survey, pile])
    session.flush()
    session.add(
        Toe(pile_id=pile.id, survey_id=survey.id, polygon=SQUARE, superseded_at=sa.func.now())
    )
    session.add(Toe(pile_id=pile.id, survey_id=survey.id, polygon=SQUARE))
    session.flush()
    session.add(Toe(pile_id=pile.id, survey_id=survey.id, polygon=SQUARE))
    with pytest.raises(IntegrityError, match="uq_toe_pile_survey_current"):
        session.flush()


def test_an_address_signs_in_one_person_whatever_its_case(session, site):
    for email in ("ann@example.org", "Ann@Example.org"):
        session.add(User(organisation_id=site.organisation_id, email=email, name="Ann"))
    with pytest.raises(IntegrityError, match="uq_user_email_lower"):
        session.flush()


def test_units_are_ones_that_are_known(session, site):
    site.volume_unit = "ft3"
    with pytest.raises(IntegrityError, match="ck_site_volume_unit"):
        session.flush()
