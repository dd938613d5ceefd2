"""What the commands that propose have in common: nothing counts before somebody confirmed it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from volumetrics.errors import InputError
from volumetrics.files.geojson import write_geojson
from volumetrics.survey import Survey
from volumetrics.toe import Toe

HINT = 'Look at each line on the orthomosaic, correct it, set "confirmed" to true; then measure.'


def write_proposals(
    path: Path, found: Iterable[tuple[Toe, dict[str, Any]]], survey: Survey, *inputs: Path
) -> None:
    """Write polygons as GeoJSON that measuring refuses until they are confirmed.

    Raises
    ------
    InputError
        When the file is one of the inputs.
    """
    if any(path.resolve() == other.resolve() for other in inputs):
        raise InputError(f"{path} would be written over.", "Name another file with --out.")
    marked = [(toe, {**more, "confirmed": False}) for toe, more in found]
    write_geojson(path, marked, survey.crs)
