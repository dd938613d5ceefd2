"""Nobody touches anything: photos are copied to a folder, and piles to review come by mail."""

import hashlib
import re
import shutil
import time

import sqlalchemy as sa

from app.extensions import db
from app.models import Inbox, Run, Survey
from tests.app import live
from tests.app.post import post


def test_a_flight_in_a_folder_becomes_a_mail_with_piles(app, services, people, tmp_path):
    flight = sorted((live.small_flight() / "images").glob("*.JPG"))
    inbox = tmp_path / "inbox" / str(people["site"].id) / "monday"
    inbox.mkdir(parents=True)
    people["site"].epsg = 0
    db.session.add(Inbox(site_id=people["site"].id, quality="preview", quiet_minutes=60))
    db.session.commit()
    storage = app.extensions["cairn_storage"].root
    with post() as server:
        environment = live.environment(*services, storage, 80) | {
            "INBOX_URL": f"file://{tmp_path / 'inbox'}",
            "MAIL_URL": server.url,
        }
        clock = live.clock(environment, tmp_path / "clock")
        with live.running(clock), live.running(live.worker(environment, tmp_path / "worker")):
            lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in flight]
            (inbox / "SHA256SUMS").write_text("".join(lines))
            for path in flight:
                shutil.copy(path, inbox)
            until = time.monotonic() + 420
            while not server.mails:
                assert time.monotonic() < until, (tmp_path / "worker").read_text()[-3000:]
                time.sleep(0.5)
    db.session.rollback()
    survey = db.session.scalars(sa.select(Survey)).one()
    assert (survey.state, survey.facts["registered_count"]) == ("ready", len(flight))
    assert db.session.scalars(sa.select(Run.options)).one()["quality"] == "preview"
    assert survey.followed_at is not None
    _, message = server.mails[0]
    count = re.search(r"Pit 1: ([1-9]) piles? of \S+ to review", str(message["Subject"]))[1]
    text = message.get_payload(decode=True).decode()
    assert f"/surveys/{survey.id}/view" in text
    assert re.search(rf"^{count} piles? proposed that nobody has drawn\r?$", text, re.MULTILINE)
