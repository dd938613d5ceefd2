"""What a survey folder tells about itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyproj

from reconstruction.block import Block
from reconstruction.errors import InputError
from reconstruction.products import ACCURACY_FILE, SURVEY_FILE

CAMERAS_FILE = "cameras.geojson"
_BLOCK_FOLDER = Path("work", "georeference")


@dataclass(frozen=True)
class PhotoPlace:
    """A photo of the survey and where it was taken.

    Parameters
    ----------
    name : str
    registered : bool
    reason : str
        Why it is not registered; empty where it is.
    adjusted, measured : tuple of float or None
        Easting and northing, by the adjustment and by the receiver.
    looks_along : tuple of float or None
        Viewing direction: east, north, up.
    horizontal_sigma_m, vertical_sigma_m : float or None
        Of the measured position.
    source : str
        Of the measured position.
    captured_at : str or None
    """

    name: str
    registered: bool
    reason: str
    adjusted: tuple[float, float] | None
    measured: tuple[float, float] | None
    looks_along: tuple[float, float, float] | None
    horizontal_sigma_m: float | None
    vertical_sigma_m: float | None
    source: str
    captured_at: str | None


@dataclass(frozen=True)
class Facts:
    """The survey folder's own words.

    Parameters
    ----------
    folder : Path
    survey, accuracy : dict
        ``survey.json`` and ``accuracy.json``; empty where there is no such file.
    photos : tuple of PhotoPlace
        The usable photos of the flight, in the order of ``cameras.geojson``.
    block : Block or None
        Cameras and tie points, None where the working folder was cleared.
    """

    folder: Path
    survey: dict[str, Any]
    accuracy: dict[str, Any]
    photos: tuple[PhotoPlace, ...]
    block: Block | None

    @property
    def set_aside(self) -> list[dict[str, str]]:
        """Files that were not used: name and reason."""
        return list(self.survey.get("set_aside") or [])


def number(values: Any, *path: str) -> float | None:
    """A finite number inside nested dictionaries, None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    is_number = isinstance(values, int | float) and not isinstance(values, bool)
    return float(values) if is_number and math.isfinite(values) else None


def read_facts(folder: Path) -> Facts:
    """Read what a survey folder tells.

    Raises
    ------
    InputError
        When the folder holds no ``survey.json``, or a file of it is damaged.
    """
    if not (folder / SURVEY_FILE).is_file():
        raise InputError(
            f"{folder} holds no {SURVEY_FILE}.", "Give the folder that a reconstruction wrote."
        )
    survey = _json(folder / SURVEY_FILE)
    lacking = [key for key in ("epsg", "bounds") if not survey.get(key)]
    if lacking:
        raise InputError(
            f"{SURVEY_FILE} in {folder} lacks {' and '.join(lacking)}.",
            "Run the reconstruction again.",
        )
    features = _json(folder / CAMERAS_FILE).get("features") or []
    not_used = {item["name"] for item in survey.get("set_aside") or []}
    to_map = pyproj.Transformer.from_crs(4326, survey["epsg"], always_xy=True)
    photos = tuple(
        _photo(feature, to_map)
        for feature in features
        if feature["properties"]["registered"] or feature["properties"]["name"] not in not_used
    )
    return Facts(folder, survey, _json(folder / ACCURACY_FILE), photos, _block(folder))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is not JSON: {error}.", "Run the reconstruction again."
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no object.", "Run the reconstruction again.")
    return values


def _block(folder: Path) -> Block | None:
    place = folder / _BLOCK_FOLDER
    return Block.load(place) if (place / "sparse.json").is_file() else None


def _photo(feature: dict[str, Any], to_map: pyproj.Transformer) -> PhotoPlace:
    facts = feature["properties"]
    measured = facts.get("measured") or {}
    easting_northing = None
    if measured:
        easting_northing = to_map.transform(measured["longitude_deg"], measured["latitude_deg"])
    geometry = feature.get("geometry")
    looks = facts.get("looks_along")
    return PhotoPlace(
        facts["name"],
        facts["registered"],
        facts.get("reason", ""),
        tuple(geometry["coordinates"][:2]) if geometry else None,
        easting_northing,
        tuple(looks) if looks else None,
        measured.get("horizontal_sigma_m"),
        measured.get("vertical_sigma_m"),
        measured.get("source", ""),
        facts.get("captured_at"),
    )
