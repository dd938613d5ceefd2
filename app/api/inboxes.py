"""Inboxes: the watched folder of a site, and what FlightHub says of flights in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint, request
from pydantic import BaseModel, ConfigDict, Field

from app.api.contract import Shape, check_version, contract
from app.auth import policy
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
    """What FlightHub must show. It is shown once."""

    secret: str


class _Reported(BaseModel):
    """DJI names more than is read here, and more with each version."""

    model_config = ConfigDict(extra="ignore")


class FlightHubCounts(_Reported):
    """How many files of a flight are uploaded, and how many there will be."""

    uploaded_file_count: Annotated[int, Field(ge=0, le=_MOST_FILES)]
    expected_file_count: Annotated[int, Field(ge=0, le=_MOST_FILES)]


class DockExtension(_Reported):
    """Which flight a file is of."""

    flight_id: Annotated[str, Field(min_length=1, max_length=300)]


class DockFile(_Reported):
    """A file in the store, as a dock names it."""

    object_key: Annotated[str, Field(min_length=1, max_length=1024)]
    ext: DockExtension


class DockData(_Reported):
    """One uploaded file."""

    file: DockFile
    flight_task: FlightHubCounts


class FlightHubFile(_Reported):
    """A file in the store, as FlightHub 2 names it."""

    key: Annotated[str, Field(min_length=1, max_length=1024)]


class FlightHubFolder(FlightHubCounts):
    """The folder of a flight."""

    folder_id: Annotated[int | str, Field(union_mode="left_to_right")]


class FlightHubReport(_Reported):
    """A report of FlightHub 2, or a dock's `file_upload_callback`.

    FlightHub 2 reports other things to the same address: they name no folder, and nothing is done.
    """

    data: DockData | None = None
    folder_info: FlightHubFolder | None = None
    files: Annotated[list[FlightHubFile], Field(max_length=_MOST_FILES)] = Field(
        default_factory=list
    )

    def reports(self) -> list[Report]:
        """One report a file."""
        if self.data is not None:
            file, counts = self.data.file, self.data.flight_task
            flight, keys = file.ext.flight_id, [file.object_key]
        elif self.folder_info is not None:
            counts = self.folder_info
            flight, keys = f"folder {self.folder_info.folder_id}"[:300], [f.key for f in self.files]
        else:
            return []
        numbers = counts.uploaded_file_count, counts.expected_file_count
        return [Report(key, flight, *numbers) for key in keys]


class FlightHubQuery(Shape):
    """FlightHub 2 can be told an address for its reports, and no header."""

    token: Annotated[str, Field(max_length=200)] = ""


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
@contract(body=FlightHubReport, query=FlightHubQuery, answer=FlightHubAnswer)
def report(body: FlightHubReport, query: FlightHubQuery) -> FlightHubAnswer:
    """Take a report of FlightHub Sync; the secret of a site comes as `X-Auth-Token` or `token`."""
    secret = request.headers.get("X-Auth-Token") or query.token
    site_id = flighthub.site_of(secret)
    for found in body.reports():
        flighthub.note(site_id, found)
    return FlightHubAnswer()


def _document(row: Inbox) -> dict[str, Any]:
    return {
        "quality": row.quality,
        "quiet_minutes": row.quiet_minutes,
        "address": inboxes.address(policy.current_site()),
        "has_secret": row.secret_hash is not None,
    }
