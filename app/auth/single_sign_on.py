"""Single sign-on by OpenID Connect, where the installation names a provider."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError
from requests import RequestException

from app.config import Config
from app.errors import NotAllowed, NotFound

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for.

    Parameters
    ----------
    subject : str
        Issuer and the provider's own identifier: it stays when the address changes.
    email : str
        Empty unless the provider has verified it.
    name : str
    """

    subject: str
    email: str
    name: str


def install(app: Flask) -> None:
    """Make the provider known; nothing where there is none."""
    config: Config = app.extensions["cairn_config"]
    if not config.oidc_issuer:
        return
    OAuth(app).register(
        "provider",
        client_id=config.oidc_client_id,
        client_secret=config.oidc_client_secret,
        server_metadata_url=f"{config.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": _TIMEOUT_S,
        },
    )


def provider_name() -> str:
    """What people call the provider; empty where there is none."""
    config: Config = current_app.extensions["cairn_config"]
    return config.oidc_name if config.oidc_issuer else ""


def redirect_to_provider(callback: str) -> ResponseReturnValue:
    """Send a browser to the provider, which sends it back to an address of ours.

    Raises
    ------
    NotFound
        Where there is no provider.
    NotAllowed
        When it does not answer.
    """
    try:
        answer: ResponseReturnValue = _client().authorize_redirect(callback)
    except (AuthlibBaseError, RequestException, ValueError) as error:
        raise _refused(error) from error
    return answer


def identity() -> Identity:
    """Whom the provider sent back with the current request, its token checked.

    Raises
    ------
    NotFound
        Where there is no provider.
    NotAllowed
        When the person declined, or state, nonce, signature or audience of the token do not fit.
    """
    client = _client()
    try:
        claims = client.authorize_access_token().get("userinfo") or {}
    except (AuthlibBaseError, JoseError, RequestException, ValueError) as error:
        raise _refused(error) from error
    if not claims.get("sub"):
        raise NotAllowed("The provider did not say who you are.", "Try it again.")
    is_verified = claims.get("email_verified") is True
    return Identity(
        f"{claims['iss']}|{claims['sub']}",
        str(claims.get("email", "")) if is_verified else "",
        str(claims.get("name", "")),
    )


def _client():  # type: ignore[no-untyped-def]
    registry = current_app.extensions.get("authlib.integrations.flask_client")
    if registry is None:
        raise NotFound("There is no single sign-on here.", "Sign in with address and password.")
    return registry.provider


def _refused(error: Exception) -> NotAllowed:
    return NotAllowed(
        f"The single sign-on did not work: {error}.", "Try it again, or ask who runs it."
    )
