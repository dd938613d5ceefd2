"""The configuration of the application: read from the environment once, and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.errors import ConfigurationError

_MIN_SECRET_BYTES = 32
_MIN_DISTINCT = 10


@dataclass(frozen=True)
class Config:
    """Everything that differs between two installations.

    Parameters
    ----------
    database_url : str
        ``postgresql://…`` of a database with PostGIS.
    redis_url : str
        ``redis://…`` or ``unix://…`` of a Redis or Valkey server.
    storage_url : str
        ``file:///folder`` for photos and products, or ``s3://bucket/folder``; then keys, region and
        endpoint are what boto3 reads: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL_S3`` …
    has_direct_downloads : bool
        Whether the store may be reached by browsers, so that downloads need not pass the server.
    secret_key : str
        Signs cookies and links; at least 32 characters of chance.
    public_url : str
        Address that people type, for links in mails.
    inbox_url : str
        ``file:///folder`` or ``s3://bucket/folder`` that photos arrive in by themselves; see
        `app.inbox`. Empty for none.
    mail_url : str
        ``smtp://user:password@host:port``; empty sends no mail.
    oidc_issuer : str
        OpenID Connect provider of single sign-on, as ``https://login.example.org``, or empty.
    oidc_client_id, oidc_client_secret : str
        What the provider knows this installation by.
    oidc_name : str
        What people call the provider.
    is_https : bool
        Whether cookies are sent over TLS only.
    max_photo_mb : int
        Largest file that may be uploaded.
    max_surface_mb : int
        Largest finished surface or point cloud.
    max_survey_photos : int
    spread_photos : int
        Photos from which on a survey is computed by several workers.
    cores : int
        How many a worker may use; those of the machine unless told: a container sees all of them.
    proxies : int
        How many proxies of ours stand in front; only they are believed about the client's address.
    may_call_private : bool
        Whether webhooks may go to addresses of a private network.
    """

    database_url: str
    redis_url: str
    storage_url: str
    secret_key: str
    public_url: str
    inbox_url: str = ""
    mail_url: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)
    oidc_name: str = "single sign-on"
    is_https: bool = True
    max_photo_mb: int = 200
    max_surface_mb: int = 20_000
    max_survey_photos: int = 5000
    spread_photos: int = 150
    cores: int = len(os.sched_getaffinity(0))
    proxies: int = 0
    may_call_private: bool = False
    has_direct_downloads: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Config:
        """Read and check the settings.

        Raises
        ------
        ConfigurationError
            Naming what is missing or weak.
        """
        required = {
            name: environment.get(name, "").strip()
            for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "SECRET_KEY", "PUBLIC_URL")
        }
        missing = [name for name, value in required.items() if not value]
        if missing:
            raise ConfigurationError(
                f"Not set in the environment: {', '.join(missing)}.",
                "Set them as `app/config.py` says.",
            )
        _check_scheme(
            "DATABASE_URL", required["DATABASE_URL"], ("postgresql", "postgresql+psycopg2")
        )
        _check_scheme("REDIS_URL", required["REDIS_URL"], ("redis", "rediss", "unix"))
        _check_scheme("STORAGE_URL", required["STORAGE_URL"], ("file", "s3"))
        _check_scheme("PUBLIC_URL", required["PUBLIC_URL"], ("http", "https"))
        _check_secret(required["SECRET_KEY"])
        inbox_url = environment.get("INBOX_URL", "").strip()
        if inbox_url:
            _check_scheme("INBOX_URL", inbox_url, ("file", "s3"))
        return cls(
            # The plain scheme means another driver to SQLAlchemy.
            database_url=required["DATABASE_URL"].replace(
                "postgresql://", "postgresql+psycopg2://", 1
            ),
            redis_url=required["REDIS_URL"],
            storage_url=required["STORAGE_URL"],
            secret_key=required["SECRET_KEY"],
            public_url=required["PUBLIC_URL"].rstrip("/"),
            inbox_url=inbox_url,
            mail_url=environment.get("MAIL_URL", ""),
            **_single_sign_on(environment),
            is_https=urlsplit(required["PUBLIC_URL"]).scheme == "https",
            max_photo_mb=_whole(environment, "MAX_PHOTO_MB", cls.max_photo_mb),
            max_surface_mb=_whole(environment, "MAX_SURFACE_MB", cls.max_surface_mb),
            max_survey_photos=_whole(environment, "MAX_SURVEY_PHOTOS", cls.max_survey_photos),
            spread_photos=_whole(environment, "SPREAD_PHOTOS", cls.spread_photos),
            cores=_whole(environment, "CORES", cls.cores),
            may_call_private=environment.get("WEBHOOKS_TO_PRIVATE", "") == "yes",
            has_direct_downloads=environment.get("DIRECT_DOWNLOADS", "") == "yes",
            proxies=_whole(environment, "PROXIES", cls.proxies, least=0),
        )


def _check_scheme(name: str, url: str, schemes: tuple[str, ...]) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in schemes:
        raise ConfigurationError(
            f"{name} starts with {scheme or 'no scheme'!r}.",
            f"It must be one of: {', '.join(f'{s}://' for s in schemes)}.",
        )


def _single_sign_on(environment: Mapping[str, str]) -> dict[str, str]:
    names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    given = {name.lower(): environment.get(name, "").strip() for name in names}
    if any(given.values()) and not all(given.values()):
        missing = [name for name in names if not given[name.lower()]]
        raise ConfigurationError(
            f"Single sign-on lacks {', '.join(missing)}.",
            f"Set all of {', '.join(names)}, or none.",
        )
    if given["oidc_issuer"]:
        _check_scheme("OIDC_ISSUER", given["oidc_issuer"], ("https", "http"))
    label = environment.get("OIDC_NAME", "").strip()
    return given | ({"oidc_name": label} if label else {})


def _check_secret(secret: str) -> None:
    if len(secret) < _MIN_SECRET_BYTES or len(set(secret)) < _MIN_DISTINCT:
        raise ConfigurationError(
            "SECRET_KEY is weak.",
            'Take at least 32 random characters: python -c "import secrets; '
            'print(secrets.token_urlsafe(48))".',
        )


def _whole(environment: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdigit() or int(text) < least:
        raise ConfigurationError(f"{name} is {text!r}.", f"It must be a whole number from {least}.")
    return int(text)
