"""A survey's CRS with its vertical datum, for files that carry elevations."""

from __future__ import annotations

import pyproj
from pyproj.crs import CompoundCRS, VerticalCRS

from volumetrics.survey import Survey


def spatial_crs(survey: Survey) -> pyproj.CRS:
    """The survey's horizontal CRS together with its named vertical datum.

    Returns
    -------
    pyproj.CRS
        The CRS as it is when it has heights already, or when the survey names no datum.
    """
    datum = survey.facts.get("vertical_datum")
    if not datum or len(survey.crs.axis_info) > 2:
        return survey.crs
    height = VerticalCRS.from_json_dict(
        {
            "type": "VerticalCRS",
            "name": f"{datum} height",
            # By its name only: surveys name datums that no register knows.
            "datum": {"type": "VerticalReferenceFrame", "name": str(datum)},
            "coordinate_system": {
                "subtype": "vertical",
                "axis": [
                    {
                        "name": "Height",
                        "abbreviation": "H",
                        "direction": "up",
                        "unit": "metre",
                    }
                ],
            },
        }
    )
    return CompoundCRS(f"{survey.crs.name} + {datum} height", [survey.crs, height])
