"""Commands of ``flask --app wsgi`` for whoever runs an installation."""

from __future__ import annotations

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from app.config import Config
from app.errors import AppError
from app.services import accounts


def install(app: Flask) -> None:
    """Offer the commands."""
    app.cli.add_command(_open_organisation)


@click.command("open-organisation")
@click.argument("name")
@click.argument("email")
@with_appcontext
def _open_organisation(name: str, email: str) -> None:
    """Make the organisation NAME; EMAIL gets a link to become its first administrator."""
    config: Config = current_app.extensions["cairn_config"]
    with current_app.test_request_context(base_url=config.public_url):
        try:
            link = accounts.open_organisation(name, email)
        except AppError as error:
            raise click.ClickException(str(error)) from error
    click.echo(
        f"{email} becomes administrator of {name!r} with this link, which works once:\n{link}"
    )
