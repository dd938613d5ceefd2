"""Single sign-on by OpenID Connect, at a provider that runs beside the test."""

import http.client
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from joserfc.jwk import RSAKey

from app.config import Config
from app.errors import ConfigurationError
from app.extensions import db
from app.models import AuditEvent, User
from tests.app import provider as providers
from tests.app.test_config import GOOD

VIEWER = {"email": "viewer@example.org", "email_verified": True, "name": "Vera"}


@pytest.fixture(scope="module")
def provider():
    """The provider."""
    with providers.running() as found:
        yield found


@pytest.fixture(scope="module")
def joined(make_app, provider):
    """An application that knows the provider."""
    return make_app(
        OIDC_ISSUER=provider.issuer,
        OIDC_CLIENT_ID=providers.CLIENT,
        OIDC_CLIENT_SECRET=providers.SECRET,
        OIDC_NAME="Quarry Login",
    )


@pytest.fixture
def arrive(app, people, joined, provider):
    """Go to the provider and come back; what the browser gets then."""
    provider.claims, provider.signs_with = VIEWER, provider.key

    def go(client=None, change=lambda address: address, to="/organisation"):
        client = client or joined.test_client()
        away = client.get("/sign-in/single", query_string={"to": to})
        assert away.status_code == 302, away.text
        place = urlsplit(away.headers["Location"])
        connection = http.client.HTTPConnection(place.netloc, timeout=10)
        connection.request("GET", f"{place.path}?{place.query}")
        back = connection.getresponse().headers["Location"]
        connection.close()
        return client, client.get(change(back.removeprefix("http://localhost")))

    return go


def user_of(email):
    return db.session.scalar(sa.select(User).where(User.email == email))


def test_a_person_of_the_provider_is_signed_in(joined, arrive, provider):
    page = joined.test_client().get("/sign-in").text
    assert "Sign in with Quarry Login" in page
    client, answer = arrive(to="/account")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    assert client.get("/api/v1/account").json["email"] == "viewer@example.org"
    assert provider.asked["code_challenge_method"] == "S256"
    assert user_of("viewer@example.org").single_sign_on_subject == f"{provider.issuer}|42"
    actions = db.session.scalars(sa.select(AuditEvent.action)).all()
    assert actions == ["person.single-sign-on"]
    # From now on the provider's own identifier counts, whatever the address.
    provider.claims = {"email": "vera@elsewhere.example", "email_verified": True}
    client, _ = arrive()
    assert client.get("/api/v1/account").json["email"] == "viewer@example.org"


def test_who_is_invited_joins_without_a_password(arrive, client_of, provider):
    body = {"email": "new@example.org", "is_admin": True}
    client_of("admin").post("/api/v1/organisation/invitations", json=body)
    provider.claims = {"email": "New@example.org", "email_verified": True, "name": "Nora"}
    client, answer = arrive()
    assert answer.status_code == 302
    me = client.get("/api/v1/account").json
    assert (me["name"], me["is_admin"]) == ("Nora", True)
    assert user_of("new@example.org").password_hash is None


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "nobody@example.org", "email_verified": True},
        {"email": "viewer@example.org", "email_verified": False},
        {"email": "viewer@example.org"},
        {"email": "viewer@example.org", "email_verified": "yes"},
        {},
    ],
)
def test_who_is_not_known_for_certain_gets_nothing(arrive, provider, claims):
    provider.claims = claims
    client, answer = arrive()
    assert answer.status_code == 403
    assert "has no account here" in answer.text
    assert client.get("/api/v1/account").status_code == 401
    assert user_of("viewer@example.org").single_sign_on_subject is None


def test_an_account_that_is_tied_to_somebody_is_not_taken_over(arrive, provider):
    arrive()
    provider.claims = VIEWER | {"sub": "43"}
    client, answer = arrive()
    assert answer.status_code == 403
    assert client.get("/api/v1/account").status_code == 401


def test_who_is_shut_out_stays_out(arrive):
    user_of("viewer@example.org").is_active = False
    db.session.commit()
    _, answer = arrive()
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "another"}, {"aud": "another"}, {"exp": 1}, {"iss": "https://evil.example"}],
)
def test_a_token_that_does_not_fit_is_refused(arrive, provider, claims):
    provider.claims = VIEWER | claims
    client, answer = arrive()
    assert answer.status_code == 403
    assert "single sign-on did not work" in answer.text
    assert client.get("/api/v1/account").status_code == 401


def test_a_token_that_somebody_else_signed_is_refused(arrive, provider):
    provider.signs_with = RSAKey.generate_key(2048, parameters={"kid": "1"})
    client, answer = arrive()
    assert answer.status_code == 403
    assert client.get("/api/v1/account").status_code == 401


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(joined, arrive):
    _, answer = arrive(change=lambda address: address.replace("state=", "state=x"))
    assert answer.status_code == 403
    # Somebody else's answer, sent as a link.
    stranger = joined.test_client()
    _, answer = arrive(change=lambda address: (stranger.get(address), address)[1])
    assert stranger.get("/api/v1/account").status_code == 401


def test_a_person_who_declined_is_told_so(joined, arrive):
    answer = joined.test_client().get(
        "/sign-in/single/done?error=access_denied&error_description=declined"
    )
    assert answer.status_code == 403
    assert "declined" in answer.text


def test_without_a_provider_there_is_none(app, people):
    client = app.test_client()
    assert "/sign-in/single" not in client.get("/sign-in").text
    assert client.get("/sign-in/single").status_code == 404
    assert client.get("/sign-in/single/done").status_code == 404


@pytest.mark.parametrize("name", ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_half_a_configuration_does_not_start(name):
    whole = {
        "OIDC_ISSUER": "https://login.example.org",
        "OIDC_CLIENT_ID": "cairn",
        "OIDC_CLIENT_SECRET": "a secret",
    }
    config = Config.from_environment(GOOD | whole)
    assert "a secret" not in repr(config)
    with pytest.raises(ConfigurationError, match=name):
        Config.from_environment(GOOD | whole | {name: ""})
