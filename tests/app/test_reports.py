"""The monthly inventory by mail: once to everyone who wants it and may see it."""

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import ReportMail, ReportReader, SiteMember
from app.services import reports
from tests.app import world
from tests.app.post import post
from tests.app.surveys import circle, ready_survey

DUE = datetime(2026, 12, 2, 7, tzinfo=UTC)


@pytest.fixture
def mails(app):
    """A mail server that the application sends by; yields it."""
    with post() as server:
        config = app.extensions["cairn_config"]
        app.extensions["cairn_config"] = replace(config, mail_url=server.url)
        yield server
        app.extensions["cairn_config"] = config


@pytest.fixture
def address(app, people, client_of, mails):
    """A site with a pile, whose viewer and manager want its reports."""
    site = people["site"]
    survey = ready_survey(app, site, flown_on=world.DAY)
    draft = {"name": "Cone", "toe": circle()}
    made = client_of("surveyor").post(f"/api/v1/surveys/{survey.id}/toes", json=draft)
    assert made.status_code == 201
    path = f"/api/v1/sites/{site.id}/monthly-report"
    for name in ("viewer", "manager"):
        assert client_of(name).put(path, json={"is_wanted": True}).json == {"is_wanted": True}
    return path


def to(mails):
    return sorted(mail[0][0] for mail in mails.mails)


def test_a_report_comes_once_on_the_second_morning(address, mails, tmp_path):
    assert reports.send_due_reports(DUE.replace(hour=5)) == 0
    assert reports.send_due_reports(DUE) == 2
    assert reports.send_due_reports(DUE) == 0
    assert reports.send_due_reports(DUE.replace(day=20)) == 0
    assert to(mails) == ["manager@example.org", "viewer@example.org"]
    _, message = mails.mails[0]
    assert message["Subject"] == "Pit 1: inventory of November 2026"
    text, pdf = message.get_payload()
    words = text.get_payload(decode=True).decode()
    assert "m³" in words
    assert "±" in words
    assert pdf.get_filename() == "inventory-2026-11-30.pdf"
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf.get_payload(decode=True))
    command = ["pdftotext", "-layout", path, "-"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Cone" in page
    # The next month is another report.
    assert reports.send_due_reports(DUE.replace(year=2027, month=1)) == 2
    months = db.session.scalars(sa.select(ReportMail.month).distinct()).all()
    assert set(months) == {date(2026, 11, 1), date(2026, 12, 1)}


def test_a_mail_that_is_not_taken_is_sent_the_next_time(address, mails):
    mails.is_refusing = True
    assert reports.send_due_reports(DUE) == 0
    assert db.session.scalar(sa.select(sa.func.count(ReportMail.id))) == 0
    mails.is_refusing = False
    assert reports.send_due_reports(DUE) == 2


def test_the_clock_of_the_site_counts(people, address, mails):
    people["site"].timezone = "Pacific/Auckland"
    db.session.commit()
    assert reports.send_due_reports(datetime(2026, 12, 1, 16, tzinfo=UTC)) == 0
    assert reports.send_due_reports(datetime(2026, 12, 1, 18, tzinfo=UTC)) == 2


def test_who_may_no_longer_see_the_site_gets_nothing(people, address, mails):
    db.session.execute(sa.delete(SiteMember).where(SiteMember.user_id == people["viewer"].id))
    people["manager"].is_active = False
    db.session.commit()
    assert reports.send_due_reports(DUE) == 0
    assert mails.mails == []


def test_who_wants_no_more_gets_no_more(client_of, people, address, mails):
    page = client_of("viewer").get(f"/sites/{people['site'].id}/periods").text
    assert "Stop the reports" in page
    form = {"wanted": "no"}
    stopped = client_of("viewer").post(f"/sites/{people['site'].id}/periods/report", data=form)
    assert stopped.status_code == 302
    assert client_of("viewer").get(address).json == {"is_wanted": False}
    reports.send_due_reports(DUE)
    assert to(mails) == ["manager@example.org"]


def test_nothing_is_sent_of_a_month_before_the_first_survey(address, mails):
    assert reports.send_due_reports(datetime(2026, 11, 5, tzinfo=UTC)) == 0
    assert mails.mails == []


def test_without_a_mail_server_nobody_is_promised_reports(client_of, people):
    path = f"/api/v1/sites/{people['site'].id}/monthly-report"
    answer = client_of("viewer").put(path, json={"is_wanted": True})
    assert answer.status_code == 422
    assert "sends no mail" in answer.json["detail"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ReportReader)) == 0
    assert (
        "Send me the reports"
        not in client_of("viewer").get(f"/sites/{people['site'].id}/periods").text
    )
    assert reports.send_due_reports(DUE) == 0
