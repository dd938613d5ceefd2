"""Mail: one message to one person, by the server that the installation names."""

from __future__ import annotations

import logging
import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from flask import current_app, url_for

from app.config import Config

_log = logging.getLogger(__name__)
_TIMEOUT_S = 20.0


def is_configured() -> bool:
    """Whether there is a server to send by."""
    return bool(_config().mail_url)


def public_link(endpoint: str, **values: str) -> str:
    """The address of a page as people outside reach it."""
    return _config().public_url + url_for(endpoint, _external=False, **values)


def send_link(to: str, subject: str, link: str) -> None:
    """Send a link that works once; without a mail server nothing is sent, and that is logged."""
    send(to, subject, f"Open this link within its time, it works once:\n\n{link}\n", ())


def send(to: str, subject: str, text: str, files: tuple[tuple[str, bytes, str], ...]) -> None:
    """Send a message with files of (name, content, media type).

    Raises
    ------
    OSError, smtplib.SMTPException
        When the server does not take it; whoever calls tries again or says so.
    """
    if not is_configured():
        _log.warning("no MAIL_URL: a mail on %r was not sent", subject)
        return
    message = EmailMessage()
    url = urlsplit(_config().mail_url)
    message["From"] = f"Cairn <{_sender()}>"
    message["To"], message["Subject"] = to, subject
    message.set_content(text)
    for name, content, media_type in files:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    with smtplib.SMTP(url.hostname or "localhost", url.port or 25, timeout=_TIMEOUT_S) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls()
        if url.username and url.password:
            server.login(unquote(url.username), unquote(url.password))
        server.send_message(message)


def _sender() -> str:
    """The account that sends, where its name is an address; else ours at the public host."""
    account = unquote(urlsplit(_config().mail_url).username or "")
    return account if "@" in account else f"cairn@{urlsplit(_config().public_url).hostname}"


def _config() -> Config:
    config: Config = current_app.extensions["cairn_config"]
    return config
