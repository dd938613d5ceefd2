"""``cairn``: sends flights to an installation, from a cron job if liked.

    cairn upload FOLDER --site SITE     a folder of photos becomes one survey
    cairn sync --from URL --site SITE   brings what a box without internet holds

The address is in CAIRN_URL and an API token with the action "write" in CAIRN_TOKEN, or in the file
that --token-file names. Exit codes: 0 done, 1 refused (somebody must look), 2 wrong arguments,
75 not now (no connection, or the folder is still being written): run it again later.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

from app.cli import sync, upload
from app.cli.connection import Connection, NotNowError, RefusedError

_REFUSED, _USAGE, _NOT_NOW = 1, 2, 75


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        with Connection(
            _url(parser, chosen), _token(parser, chosen), chosen.patience
        ) as connection:
            return int(chosen.command(connection, chosen))
    except RefusedError as error:
        print(f"cairn: {error}", file=sys.stderr)
        return _REFUSED
    except NotNowError as error:
        print(f"cairn: {error}", file=sys.stderr)
        return _NOT_NOW
    except KeyboardInterrupt:
        print("cairn: stopped; the same command goes on from here.", file=sys.stderr)
        return _NOT_NOW


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cairn", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--server", default=os.environ.get("CAIRN_URL", ""), metavar="URL")
    common.add_argument("--token-file", type=Path, metavar="FILE")
    common.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    common.add_argument(
        "--patience", type=float, default=600.0, metavar="SECONDS",
        help="how long to try again while nothing gets through (600)",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sending = commands.add_parser(
        "upload", parents=[common], help="send a folder of photos as one survey"
    )
    sending.add_argument("folder", type=Path)
    sending.add_argument("--site", required=True, help="name or id")
    sending.add_argument("--gcp", type=Path, metavar="FILE", help="control points")
    sending.add_argument("--name", default="", help="of the survey (its day)")
    sending.add_argument("--flown-on", type=date.fromisoformat, metavar="YYYY-MM-DD")
    sending.add_argument("--quality", choices=("preview", "standard", "high"), default="standard")
    sending.add_argument(
        "--settle", type=float, default=30.0, metavar="SECONDS",
        help="the folder must have been still for so long before anything is sent (30)",
    )  # fmt: skip
    sending.set_defaults(command=upload.run)
    syncing = commands.add_parser(
        "sync", parents=[common], help="bring the surveys and piles of another installation"
    )
    syncing.add_argument("--from", dest="source", required=True, metavar="URL", help="the box")
    syncing.add_argument("--from-token-file", required=True, type=Path, metavar="FILE")
    syncing.add_argument("--site", required=True, help="name or id on the box")
    syncing.add_argument("--to-site", default="", help="name or id here, where it is another")
    syncing.add_argument("--quality", choices=("preview", "standard", "high"), default="standard")
    syncing.set_defaults(command=sync.run)
    return parser


def _url(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> str:
    if not chosen.server.startswith(("https://", "http://")):
        parser.error("no address: give --server https://… or set CAIRN_URL")
    return str(chosen.server).rstrip("/")


def _token(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> str:
    if chosen.token_file is None:
        token = os.environ.get("CAIRN_TOKEN", "")
    else:
        try:
            token = chosen.token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            parser.error(f"{chosen.token_file} cannot be read: {error}")
    if not token.strip():
        parser.error("no token: set CAIRN_TOKEN, or give --token-file")
    return token.strip()


if __name__ == "__main__":
    sys.exit(main())
