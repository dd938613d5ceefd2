"""One of everything that a site and an organisation can have, to try the routes on."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from app.auth.secrets import hash_secret
from app.extensions import db
from app.models import (
    ApiToken,
    BookEntry,
    Invitation,
    Material,
    MaterialValue,
    Run,
    SignIn,
    Upload,
    Webhook,
    WebhookDelivery,
)
from tests.app.surveys import circle, ready_survey

DAY = date(2026, 11, 20)
SECRETS = ("Secret gravel", "Secret heap", "Week of secrets", "Secret token", "secret.example.org")


def fill(app, people, client):
    """Fill a site by a manager's browser; the identifiers by the names that routes give them."""
    site, admin = people["site"], people["admin"]
    later = datetime.now(UTC) + timedelta(days=1)
    material = Material(site_id=site.id, name="Secret gravel")
    material.values.append(
        MaterialValue(valid_from=date(2026, 1, 1), density_t_m3=1.6, density_sigma_t_m3=0.0)
    )
    webhook = Webhook(
        organisation_id=site.organisation_id,
        url="https://secret.example.org",
        secret="s",
        events=["period.closed"],
    )
    db.session.add_all([material, webhook])
    db.session.flush()
    survey = ready_survey(app, site, flown_on=DAY, name="Week of secrets")
    rows = {
        "run_id": Run(survey_id=survey.id, state="done"),
        "upload_id": Upload(survey_id=survey.id, name="a.jpg", length=9, expires_at=later),
        "entry_id": BookEntry(
            site_id=site.id, material_id=material.id, on=DAY, kind="sale", mass_t=3.0
        ),
        "token_id": ApiToken(
            organisation_id=site.organisation_id, user_id=admin.id, name="Secret token",
            prefix="cairn_", secret_hash=hash_secret("token"), actions=["read"],
        ),
        "sign_in_id": SignIn(
            user_id=admin.id, secret_hash=hash_secret("session"), seen_at=later, expires_at=later,
            address="", browser="",
        ),
        "invitation_id": Invitation(
            kind="join", organisation_id=site.organisation_id, email="new@secret.example.org",
            secret_hash=hash_secret("join"), expires_at=later,
        ),
    }  # fmt: skip
    db.session.add_all([*rows.values(), WebhookDelivery(webhook_id=webhook.id, event="ping")])
    db.session.commit()
    draft = {"name": "Secret heap", "toe": circle(), "material_id": str(material.id)}
    toe = client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft).json
    closing = {"name": "November", "ends_on": DAY.isoformat()}
    period = client.post(f"/api/v1/sites/{site.id}/periods", json=closing).json
    return {name: row.id for name, row in rows.items()} | {
        "site_id": site.id,
        "survey_id": survey.id,
        "material_id": material.id,
        "toe_id": UUID(toe["id"]),
        "pile_id": UUID(toe["pile_id"]),
        "period_id": UUID(period["id"]),
        "webhook_id": webhook.id,
        "user_id": people["viewer"].id,
    }
