"""The application on a real PostGIS and Valkey, its tables made by the migrations."""

import tempfile
from contextvars import Context
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import has_app_context
from flask.testing import FlaskClient

from app import create_app
from app.auth.passwords import hash_password
from app.config import Config
from app.extensions import db, limiter
from app.models import Organisation, Role, Site, SiteMember, User
from scripts.services import PROGRAMS, postgis, valkey
from tests.app import live
from tests.app.store import BUCKET, Store

PASSWORD = "gravel by the tonne"


class Browser(FlaskClient):
    """A client whose requests have a context of their own, as on a server.

    Within the test's context they would share its rows, and a view that forgets to commit would
    look right.
    """

    def open(self, *args, **kwargs):
        """Send a request; afterwards the test reads rows anew."""
        kwargs.setdefault("buffered", True)
        answer = Context().run(super().open, *args, **kwargs)
        if has_app_context():
            db.session.rollback()
        return answer


@pytest.fixture(scope="session")
def services():
    """URLs of a private PostGIS and Valkey, gone after the tests."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip("postgresql-15 is not installed")
    with tempfile.TemporaryDirectory(prefix="cairn-test-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgis(folder / "cluster") as database, valkey(folder / "valkey") as queue:
            yield database, queue


@pytest.fixture(scope="session")
def database_url(services):
    """URL of the database."""
    return services[0]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store that speaks S3, with one bucket, gone after the tests."""
    found = Store(tmp_path_factory.mktemp("store"))
    with live.running(found.process):
        found.client().create_bucket(Bucket=BUCKET)
        yield found


@pytest.fixture(scope="session")
def make_app(services, tmp_path_factory):
    """Applications on these services; the first makes the tables."""
    database, queue = services

    def make(**settings):
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": queue,
            "STORAGE_URL": f"file://{tmp_path_factory.mktemp('storage')}",
            "SECRET_KEY": "a key of the tests, known to everybody 0123456789",
            "PUBLIC_URL": "http://localhost",
        }
        app = create_app(Config.from_environment(environment | settings))
        app.testing, app.test_client_class = True, Browser
        return app

    app = make()
    with app.app_context():
        flask_migrate.upgrade()
    return make


@pytest.fixture(scope="session")
def whole_app(make_app):
    """One application for all tests."""
    return make_app()


@pytest.fixture
def app(whole_app):
    """The application, with empty tables, inside its context."""
    with whole_app.app_context():
        names = ", ".join(f'"{table.name}"' for table in db.metadata.sorted_tables)
        db.session.execute(sa.text(f"truncate {names} cascade"))
        db.session.commit()
        whole_app.extensions["cairn_redis"].flushdb()
        # It counts where the application that was made last said, which may be another queue.
        limiter.reset()
        yield whole_app
        db.session.remove()


@pytest.fixture
def people(app):
    """Two organisations; in the first a site with somebody of each role, and a stranger."""
    return make_people()


def make_people():
    """Make the people of the tests; all have the same password."""
    password_hash = hash_password(PASSWORD)
    ours, theirs = Organisation(name="North Quarries"), Organisation(name="South Quarries")
    db.session.add_all([ours, theirs])
    db.session.flush()
    site = Site(organisation_id=ours.id, name="Pit 1", epsg=25832)
    db.session.add(site)

    def person(name, organisation, *, is_admin=False):
        user = User(
            organisation_id=organisation.id,
            email=f"{name}@example.org",
            name=name.title(),
            password_hash=password_hash,
            is_admin=is_admin,
        )
        db.session.add(user)
        return user

    users = {name: person(name, ours) for name in ("viewer", "surveyor", "manager", "outsider")}
    users["admin"] = person("admin", ours, is_admin=True)
    users["stranger"] = person("stranger", theirs, is_admin=True)
    db.session.flush()
    for role in Role:
        user = users[role.name.lower()]
        db.session.add(SiteMember(site_id=site.id, user_id=user.id, role=role))
    db.session.commit()
    return {"site": site, **users}


@pytest.fixture
def client_of(app, people):
    """A browser that somebody is signed in on; nobody where the name is None."""

    def sign_in(name):
        client = app.test_client()
        # Pages carry the token in forms; here it is tested by itself.
        app.config["WTF_CSRF_ENABLED"] = False
        if name is not None:
            answer = client.post(
                "/sign-in", data={"email": people[name].email, "password": PASSWORD}
            )
            assert answer.status_code == 302
        return client

    yield sign_in
    app.config["WTF_CSRF_ENABLED"] = True
