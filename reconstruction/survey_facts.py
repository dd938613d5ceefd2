"""What the files of a survey say beside its products: survey, accuracy and cameras."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyproj

from reconstruction import __version__
from reconstruction.dense_surface import DenseSurface
from reconstruction.dsm import Dsm
from reconstruction.georeference import Georeferenced
from reconstruction.images import PhotoSet
from reconstruction.options import Options
from reconstruction.point_cloud import PointCloud
from reconstruction.sfm import program_versions
from reconstruction.stage import tool_versions
from reconstruction.verdict import FlightVerdict
from reconstruction.vertical_datum import ellipsoid_above_m


def geoid_height_m(placed: Georeferenced) -> float | None:
    """Height of the survey's vertical datum above the ellipsoid at its middle, where known."""
    frame = placed.block.frame
    above = ellipsoid_above_m(
        placed.vertical_datum, np.array([frame.latitude_deg]), np.array([frame.longitude_deg])
    )
    return None if above is None else float(above[0])


def cameras(placed: Georeferenced, flight: PhotoSet) -> dict[str, Any]:
    """One point a photo: where it is, or why it is not there."""
    frame = placed.block.frame
    shots = {shot.name: shot for shot in placed.block.shots}
    features = []
    for photo in flight.photos:
        properties: dict[str, Any] = {
            "name": photo.name,
            "registered": photo.name in shots,
            "captured_at": photo.captured_at,
        }
        geometry = None
        if photo.position:
            properties["measured"] = asdict(photo.position)
        if photo.name in shots:
            shot = shots[photo.name]
            place = frame.to_map(shot.centre[None])[0]
            geometry = {"type": "Point", "coordinates": place.tolist()}
            # Camera axes are right, down, forward: the forward one tells where it looks.
            properties["looks_along"] = shot.rotation[2].tolist()
            properties["camera"] = shot.camera
        else:
            properties["reason"] = "Too few matches with other photos."
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    features += [
        {
            "type": "Feature",
            "geometry": None,
            "properties": {"name": name, "registered": False, "reason": reason},
        }
        for name, reason in flight.set_aside
    ]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{frame.epsg}"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


def accuracy(placed: Georeferenced, dsm: Dsm, dense: DenseSurface) -> dict[str, Any]:
    """The adjustment's facts and the surface's.

    Noise that two halves of the photos do not share is measured by comparing them; what bends
    the whole block is known to the adjustment only. The surface has both.
    """
    bending = placed.accuracy["block_deformation"]
    noise: dict[str, Any] | None = None
    if dsm.noise is not None:
        noise = dsm.noise.to_json()
        noise["components"] = [*noise["components"], *bending]
    return {
        **placed.accuracy,
        "dsm_noise": noise,
        "dsm_area_m2": dsm.area_m2,
        "dsm_median_matches": dsm.median_count,
        "stereo_pair_count": len(dense.pairs),
    }


def survey(
    options: Options,
    flight: PhotoSet,
    verdict: FlightVerdict,
    placed: Georeferenced,
    dense: DenseSurface,
    cloud: PointCloud,
) -> dict[str, Any]:
    """What ``survey.json`` says of the flight and of how it was worked on."""
    epsg, engine = placed.block.frame.epsg, options.sfm.engine
    return {
        "format": "cairn-survey",
        "format_version": 1,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"cairn": __version__, **tool_versions(), **program_versions(engine)},
        "epsg": epsg,
        "crs_name": pyproj.CRS.from_epsg(epsg).name,
        "vertical_datum": placed.vertical_datum,
        "local_frame": placed.block.frame.to_json(),
        "bounds": list(dense.grid.bounds),
        "cell_size_m": dense.grid.cell_size_m,
        "gsd_m": dense.gsd_m,
        "image_count": len(flight.photos),
        "registered_count": len(placed.block.shots),
        "point_cloud": {
            "written_by": cloud.written_by,
            "count": cloud.count,
            "outlier_count": cloud.outlier_count,
        },
        "captured_at": min((p.captured_at for p in flight.photos if p.captured_at), default=None),
        "options": asdict(options),
        "set_aside": [{"name": name, "reason": reason} for name, reason in flight.set_aside],
        "verdict": verdict.to_json(),
    }
