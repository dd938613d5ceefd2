"""What can go wrong for a person, and the one table from that to HTTP."""

from __future__ import annotations


class AppError(Exception):
    """A refusal with its reason and the remedy.

    Parameters
    ----------
    reason : str
        What is wrong, with the value.
    remedy : str
        What the person can do.
    field : str
        The input that caused it, for forms and API clients; empty when none did.
    """

    status = 400
    title = "This cannot be done"

    def __init__(self, reason: str, remedy: str = "", field: str = "") -> None:
        super().__init__(f"{reason} {remedy}".strip())
        self.reason = reason
        self.remedy = remedy
        self.field = field


class ConfigurationError(AppError):
    """The application cannot start like this."""

    status = 500
    title = "Configuration"


class InvalidInput(AppError):
    """Something was given that cannot be used."""

    status = 422
    title = "Invalid input"


class NotSignedIn(AppError):
    """Nobody is signed in."""

    status = 401
    title = "Sign in first"


class NotAllowed(AppError):
    """Signed in, and known to the site, but the role does not suffice."""

    status = 403
    title = "Not allowed"


class NotFound(AppError):
    """There is no such thing, or it belongs to somebody else: the two look alike on purpose."""

    status = 404
    title = "Not found"


class Conflict(AppError):
    """It was changed by someone else meanwhile, or is in a state that forbids this."""

    status = 409
    title = "Conflict"


class BusyError(AppError):
    """Another request is writing to the same upload."""

    status = 423
    title = "Upload in use"


class TooLarge(AppError):
    """More than the installation accepts."""

    status = 413
    title = "Too large"


class Stale(AppError):
    """A change was meant for another version than the one that is there now."""

    status = 412
    title = "Changed meanwhile"


class UnsupportedMediaType(AppError):
    """The body is of a kind that is not read here."""

    status = 415
    title = "Unsupported media type"


class StorageAway(AppError):
    """The store of photos and products does not answer for the moment."""

    status = 503
    title = "Storage is away"


class StorageFull(AppError):
    """Nothing more fits."""

    status = 507
    title = "Storage is full"
