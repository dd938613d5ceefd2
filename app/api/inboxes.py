"""Inboxes: the watched folder of a site, and what FlightHub says of flights in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint, request
from pydantic import BaseModel, ConfigDict, Field

from app.api.contract import Shape, check_version, contract
from app.auth import policy
from app.errors import InvalidInput
from app.models import Inbox, Role
from app.services import flighthub, inboxes
from app.services.flighthub import Report
from app.services.inboxes import Settings

blueprint = Blueprint("inboxes", __name__, url_prefix="/api/v1")

_MOST_FILES = 100_000


class InboxFields(Shape):
    """How a folder is watched: a flight is whole after so many minutes without a change."""

    quality: Literal["preview", "standard", "high"] = "standard"
    quiet_minutes: Annotated[int, Field(ge=1, le=1440)] = 15


class InboxShape(InboxFields):
    """A watched folder; each folder in `address` is a flight."""

    address: str
    has_secret: bool


class Secret(Shape):
    """What FlightHub must send as `X-Auth-Token`. It is shown once."""

    secret: str


class _Reported(BaseModel):
    """DJI names more than is read here, and more with each version."""

    model_config = ConfigDict(extra="ignore")


class FlightHubExtension(_Reported):
    """Which flight a file is of."""

    flight_id: Annotated[str, Field(min_length=1, max_length=300)]


class FlightHubFile(_Reported):
    """A file in the store."""

    object_key: Annotated[str, Field(min_length=1, max_length=1024)]
    ext: FlightHubExtension


class FlightHubCounts(_Reported):
    """How many files of a flight are uploaded, and how many there will be."""

    uploaded_file_count: Annotated[int, Field(ge=0, le=_MOST_FILES)]
    expected_file_count: Annotated[int, Field(ge=1, le=_MOST_FILES)]


class FlightHubData(_Reported):
    """One uploaded file; FlightHub 2 has the counts in `folder_info`, a dock in `flight_task`."""

    file: FlightHubFile
    flight_task: FlightHubCounts | None = None
    folder_info: FlightHubCounts | None = None


class FlightHubReport(_Reported):
    """A report of FlightHub Sync, `file_upload_callback`."""

    data: FlightHubData


class FlightHubAnswer(Shape):
    """What DJI's programs expect to be answered."""

    code: int = 0
    message: str = "success"
    data: dict[str, str] = Field(default_factory=dict)


@blueprint.get("/sites/<uuid:site_id>/inbox")
@policy.role(Role.MANAGER)
@contract(answer=InboxShape)
def show(site_id: UUID) -> dict[str, Any]:
    """Show how the folder of a site is watched."""
    return _document(inboxes.get(policy.current_site()))


@blueprint.put("/sites/<uuid:site_id>/inbox")
@policy.role(Role.MANAGER)
@contract(body=InboxFields, answer=InboxShape)
def put(site_id: UUID, body: InboxFields) -> dict[str, Any]:
    """Watch the folder of a site, or change how."""
    site = policy.current_site()
    row = inboxes.find(site)
    if row is not None:
        check_version(InboxShape, _document(row))
    return _document(inboxes.open_for(site, Settings(body.quality, body.quiet_minutes)))


@blueprint.delete("/sites/<uuid:site_id>/inbox")
@policy.role(Role.MANAGER)
@contract(status=204)
def remove(site_id: UUID) -> None:
    """Watch the folder of a site no longer."""
    inboxes.close(policy.current_site())


@blueprint.post("/sites/<uuid:site_id>/inbox/secret")
@policy.role(Role.MANAGER)
@contract(answer=Secret, status=201, is_secret=True)
def renew_secret(site_id: UUID) -> Secret:
    """Make the secret that FlightHub must show; the one before ends."""
    return Secret(secret=inboxes.renew_secret(policy.current_site()))


@blueprint.post("/flighthub")
@policy.anybody
@contract(body=FlightHubReport, answer=FlightHubAnswer)
def report(body: FlightHubReport) -> FlightHubAnswer:
    """Take a report of FlightHub Sync; the secret of a site comes as `X-Auth-Token`."""
    counts = body.data.flight_task or body.data.folder_info
    if counts is None:
        raise InvalidInput(
            "The report has no counts.", "Send flight_task or folder_info.", field="data"
        )
    file = body.data.file
    found = Report(
        file.object_key,
        file.ext.flight_id,
        counts.uploaded_file_count,
        counts.expected_file_count,
    )
    flighthub.note(request.headers.get("X-Auth-Token", ""), found)
    return FlightHubAnswer()


def _document(row: Inbox) -> dict[str, Any]:
    return {
        "quality": row.quality,
        "quiet_minutes": row.quiet_minutes,
        "address": inboxes.address(policy.current_site()),
        "has_secret": row.secret_hash is not None,
    }
