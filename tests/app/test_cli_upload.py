"""``cairn upload`` against the real server: broken off, killed, repeated; one survey in the end."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from app.auth.tokens import new_token
from app.extensions import db
from app.models import ApiToken, Delivery, Photo, Run, Survey, Upload
from tests.app import live
from tests.app.photos import write_photo


@pytest.fixture
def card(tmp_path):
    """A card with five photos in a folder of it."""
    folder = tmp_path / "card" / "DCIM" / "100MEDIA"
    folder.mkdir(parents=True)
    for number in range(5):
        write_photo(folder / f"DJI_{number:04}.JPG", number)
    return tmp_path / "card"


@pytest.fixture
def token(people):
    return make_token(people["surveyor"])


def make_token(owner, sites=()):
    text, prefix, secret_hash = new_token()
    row = ApiToken(
        organisation_id=owner.organisation_id,
        user_id=owner.id,
        name="card reader",
        prefix=prefix,
        secret_hash=secret_hash,
        sites=[str(site.id) for site in sites],
        actions=["read", "write"],
    )
    db.session.add(row)
    db.session.commit()
    return text


@pytest.fixture(scope="module")
def server(whole_app, services, tmp_path_factory):
    """A server with its port."""
    port = live.free_port()
    environment = live.environment(*services, whole_app.extensions["cairn_storage"].root, port)
    log = tmp_path_factory.mktemp("server") / "web.log"
    with live.running(live.web(environment, port, log)) as process:
        process.port = port
        yield process


def command(port, token, folder, *more):
    return subprocess.Popen(
        [
            sys.executable, "-m", "app.cli", "upload", str(folder), "--site", "Pit 1",
            "--settle", "0", *more,
        ],
        env=os.environ | {"CAIRN_URL": f"http://127.0.0.1:{port}", "CAIRN_TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def upload(port, token, folder, *more):
    """Run the command to its end: exit code, and what it said."""
    process = command(port, token, folder, *more)
    said, wrong = process.communicate(timeout=120)
    return process.returncode, said + wrong


def count(row):
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(row))


def digests(folder):
    return {hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*.JPG")}


class Wire:
    """A port that leads to another one until so many bytes have passed; then the line is cut."""

    def __init__(self, port, cut_after):
        self.target, self.left, self.cuts, self.carried = port, cut_after, 0, 0
        self.every = cut_after
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while block := source.recv(16384):
                self.left -= len(block)
                self.carried += len(block)
                if self.left < 0:
                    self.left, self.cuts = self.every, self.cuts + 1
                    break
                sink.sendall(block)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_folder_becomes_one_survey_that_is_processed_once(server, token, card):
    code, said = upload(server.port, token, card)
    assert code == 0, said
    assert "5 of 5" in said
    survey = db.session.scalars(sa.select(Survey)).one()
    assert (survey.name, str(survey.flown_on)) == ("Flight of 2026-11-24", "2026-11-24")
    assert set(db.session.scalars(sa.select(Photo.sha256))) == digests(card)
    run = db.session.scalars(sa.select(Run)).one()
    assert (run.survey_id, run.options["quality"]) == (survey.id, "standard")
    # The same photos under other names, twice more.
    (card / "DCIM").rename(card / "copied")
    assert upload(server.port, token, card)[0] == 0
    assert (count(Survey), count(Run), count(Photo)) == (1, 1, 5)


def test_a_line_that_breaks_again_and_again_delivers_everything(server, token, card):
    size = sum(path.stat().st_size for path in card.rglob("*.JPG"))
    wire = Wire(server.port, size // 4)
    code, said = upload(wire.port, token, card)
    wire.listener.close()
    assert code == 0, said
    assert wire.cuts >= 2
    # It went on where it was cut off, and did not begin anew.
    assert wire.carried < 1.5 * size
    assert set(db.session.scalars(sa.select(Photo.sha256))) == digests(card)
    assert (count(Survey), count(Run)) == (1, 1)


def test_a_killed_command_goes_on_and_half_a_folder_is_never_processed(server, token, card):
    write_photo(card / "large.jpg", 99, side=6000)
    process = command(server.port, token, card)
    for line in process.stdout:
        if line.startswith("2 of 6"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    time.sleep(0.3)
    before = count(Photo)
    assert 2 <= before < 6
    assert count(Run) == 0
    delivery = db.session.scalars(sa.select(Delivery)).one()
    assert (len(delivery.files), delivery.completed_at) == (6, None)
    code, said = upload(server.port, token, card)
    assert code == 0, said
    assert (count(Photo), count(Run), count(Survey), count(Upload)) == (6, 1, 1, 0)


def test_a_server_that_dies_in_the_middle_is_waited_for(server, token, card):
    write_photo(card / "large.jpg", 99, side=6000)
    process = command(server.port, token, card)
    process.stdout.readline()
    process.stdout.readline()
    server.kill()
    time.sleep(1.0)
    server.start()
    said, wrong = process.communicate(timeout=120)
    assert process.returncode == 0, said + wrong
    assert (count(Photo), count(Run), count(Survey)) == (6, 1, 1)


def test_photos_of_an_earlier_survey_are_left_out_of_the_next(server, token, card):
    assert upload(server.port, token, card)[0] == 0
    for number in range(4):
        write_photo(card / f"next{number}.jpg", 50 + number, day="2026:12:01 09:00:00")
    shutil.copy(card / "next0.jpg", card / "copy of it.jpg")
    code, said = upload(server.port, token, card)
    assert code == 0, said
    assert "5 left out, earlier surveys have them: " in said
    assert "1 left out, others of the folder are the same: next0.jpg" in said
    days = db.session.scalars(sa.select(Survey.flown_on).order_by(Survey.flown_on)).all()
    assert [str(day) for day in days] == ["2026-11-24", "2026-12-01"]
    assert count(Photo) == 9


def test_the_rest_of_a_flight_that_is_processed_is_refused(server, token, card):
    assert upload(server.port, token, card)[0] == 0
    for number in range(4):
        write_photo(card / f"late{number}.jpg", 50 + number)
    code, said = upload(server.port, token, card)
    assert code == 1
    assert "4 photos are new, but others of the same day are in 'Flight of 2026-11-24'" in said
    assert (count(Survey), count(Photo)) == (1, 5)


def test_a_damaged_photo_stops_the_flight_until_it_is_mended_or_left_out(server, token, card):
    broken = card / "broken.jpg"
    write_photo(broken, 60)
    broken.write_bytes(broken.read_bytes()[:9000])
    code, said = upload(server.port, token, card)
    assert code == 1
    assert "broken.jpg" in said
    assert "truncated" in said
    assert count(Run) == 0
    broken.unlink()
    assert upload(server.port, token, card)[0] == 0
    assert (count(Survey), count(Run), count(Photo)) == (1, 1, 5)


def test_what_somebody_deleted_does_not_come_back(server, token, card, client_of):
    assert upload(server.port, token, card)[0] == 0
    survey = db.session.scalars(sa.select(Survey)).one()
    assert client_of("manager").delete(f"/api/v1/surveys/{survey.id}").status_code == 204
    code, said = upload(server.port, token, card)
    assert code == 1
    assert "deleted the survey" in said
    assert count(Survey) == 0


def test_what_would_be_refused_in_the_end_is_refused_at_once(server, token, card):
    (card / "empty.jpg").touch()
    code, said = upload(server.port, token, card)
    assert (code, "empty.jpg is empty" in said) == (1, True)
    with (card / "empty.jpg").open("wb") as file:
        file.truncate(201_000_000)
    code, said = upload(server.port, token, card)
    assert (code, "the limit is 200 MB" in said) == (1, True)
    assert (count(Survey), count(Upload)) == (0, 0)


def test_exit_codes_tell_cron_what_to_do(server, token, people, card, tmp_path):
    closed = live.free_port()
    code, said = upload(closed, token, card, "--patience", "1")
    assert code == 75
    assert "does not answer" in said
    code, said = upload(server.port, "cairn_wrong", card)
    assert (code, "unknown, revoked or expired" in said) == (1, True)
    code, said = upload(server.port, make_token(people["stranger"]), card)
    assert (code, "There is no site 'Pit 1'" in said) == (1, True)
    code, said = upload(server.port, token, tmp_path / "none")
    assert (code, "is no folder" in said) == (1, True)
    code, said = upload(server.port, "", card)
    assert (code, "no token" in said) == (2, True)
    assert count(Survey) == 0


def test_a_folder_that_is_being_copied_is_waited_for(tmp_path):
    from app.cli import folder

    write_photo(tmp_path / "0.jpg", 0, side=50)

    def copy():
        for number in range(1, 4):
            time.sleep(0.2)
            write_photo(tmp_path / f"{number}.jpg", number, side=50)

    copying = threading.Thread(target=copy)
    copying.start()
    found = folder.wait_until_still(tmp_path, 1.0)
    copying.join()
    assert len(found) == 4
