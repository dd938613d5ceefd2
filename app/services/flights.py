"""Flights: the photos of a survey as `reconstruction` takes them, and what it thinks of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import current_app

from app.extensions import db
from app.models import Survey
from app.queries import photos

if TYPE_CHECKING:
    from reconstruction.pipeline import Request


def request(survey_id: UUID, options: dict[str, Any], workspace: Path) -> Callable[[], Request]:
    """What to reconstruct; options that cannot be are refused when it is called."""
    folder = current_app.extensions["cairn_storage"].photos(survey_id)
    control, positions = _text_files(survey_id, folder)

    def made() -> Request:
        from reconstruction.options import Options
        from reconstruction.pipeline import Request

        chosen = Options(options["quality"], options["engine"], options["epsg"])
        return Request(folder, workspace, chosen, control, positions)

    return made


def judge(survey_id: UUID) -> None:
    """Read all photos of a survey once and store what is to be said of the flight."""
    from reconstruction.control_list import read_control
    from reconstruction.errors import ReconstructionError
    from reconstruction.images import PhotoFolder, read_flight
    from reconstruction.stage import Run

    folder = current_app.extensions["cairn_storage"].photos(survey_id)
    control, positions = _text_files(survey_id, folder)
    db.session.remove()
    try:
        flight = read_flight(PhotoFolder(folder, positions), Run(jobs=2))
        points = read_control(control, flight.photos) if control else None
        verdict = flight.judged(points).to_json() | {
            "set_aside": [list(pair) for pair in flight.set_aside]
        }
    except ReconstructionError as error:
        finding = {"level": "refuse", "code": "input", "message": error.reason}
        verdict = {"findings": [finding | {"remedy": error.hint, "photos": []}], "photo_count": 0}
    survey = db.session.get(Survey, survey_id)
    if survey is not None:
        verdict["findings"] = [*_of_earlier(survey), *verdict["findings"]]
        survey.verdict = verdict | {"judged_at": datetime.now(UTC).isoformat()}
        db.session.commit()


def _of_earlier(survey: Survey) -> list[dict[str, Any]]:
    """What is to be said of photos that were on the card still: they are of another day."""
    found = photos.of_earlier_surveys(survey)
    if not found:
        return []
    count = len(photos.names(survey.id, "photo"))
    what = f"{len(found)} of {count} photos" if len(found) < count else f"All {count} photos"
    surveys = ", ".join(sorted(set(found.values())))
    finding = {"level": "warn", "code": "earlier-survey"}
    finding["message"] = f"{what} were uploaded before: earlier surveys have them ({surveys})."
    finding["remedy"] = (
        "If they were left on the card from another day, delete this survey and upload the flight "
        "without them: the site has changed since."
    )
    return [finding | {"photos": list(found)}]


def _text_files(survey_id: UUID, folder: Path) -> tuple[Path | None, Path | None]:
    """The control points and the positions of a survey, where they were uploaded."""
    names = photos.names(survey_id, "control")
    positions = next((name for name in names if name.lower().startswith("geo")), None)
    control = next((name for name in names if name != positions), None)
    return (folder / control if control else None), (folder / positions if positions else None)
