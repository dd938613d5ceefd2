"""Taking a flight from an inbox: read once to know it, then taken like an upload, file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from app import photo_file
from app.errors import InvalidInput
from app.extensions import db
from app.inbox import Arrival, Inbox
from app.models import Delivery, DeliverySource, Site, Survey
from app.queries import deliveries as queries
from app.services import deliveries, uploads
from app.services.deliveries import Manifest


def delivery_of(site_id: UUID, source: DeliverySource, key: str) -> Delivery:
    """The delivery of a flight in an inbox: the one that is known, or a new one without files."""
    query = select(Delivery).where(
        Delivery.site_id == site_id, Delivery.source == source, Delivery.key == key
    )
    found = db.session.scalar(query)
    if found is None:
        found = Delivery(
            site_id=site_id,
            source=source,
            key=key,
            files=[],
            options={},
            changed_at=datetime.now(UTC),
        )
        db.session.add(found)
    return found


def take(
    inbox: Inbox,
    site: Site,
    delivery: Delivery,
    arrivals: Sequence[Arrival],
    quality: str,
    expected: Mapping[str, str],
) -> bool:
    """Take all files of a flight, or those that an earlier attempt left; process it then.

    Parameters
    ----------
    expected : mapping
        Hash by name, where a list of files came along; empty where none did.

    Returns
    -------
    bool
        Whether the delivery is complete.

    Raises
    ------
    InvalidInput, Conflict
        When a file is damaged, or the flight cannot be one.
    """
    if delivery.options.get("read") != delivery.options.get("seen"):
        files = [_read(inbox, arrival, expected) for arrival in arrivals]
        deliveries.admit(site, delivery, Manifest(files, quality=quality))
        delivery.options = delivery.options | {"read": delivery.options.get("seen")}
        db.session.commit()
    by_name = {arrival.name: arrival for arrival in arrivals}
    for missing in queries.standing(delivery).missing:
        if missing.upload_id is not None:
            # What a killed worker left; the whole file lies here.
            uploads.terminate(uploads.get(missing.upload_id))
        _take_one(inbox, delivery, by_name[missing.name], missing.sha256)
    return deliveries.settle(delivery)


def _read(inbox: Inbox, arrival: Arrival, expected: Mapping[str, str]) -> dict[str, object]:
    with inbox.on_disk(arrival) as path:
        document = photo_file.document(path, arrival.name)
    if expected and expected.get(arrival.name, document["sha256"]) != document["sha256"]:
        raise InvalidInput(f"{arrival.name} is not what its list says.", "Copy it again.")
    return document


def _take_one(inbox: Inbox, delivery: Delivery, arrival: Arrival, sha256: str) -> None:
    survey = db.session.get_one(Survey, delivery.survey_id)
    upload = uploads.begin(survey, arrival.name, arrival.size, sha256)
    with inbox.on_disk(arrival) as path, path.open("rb") as file:
        uploads.append(upload, 0, file, None)
