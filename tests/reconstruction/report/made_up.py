"""A made-up survey folder: small rasters, four cameras and facts that a test can look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid, float_cog, rgba_cog

FRAME = LocalFrame(32632, 46.47, 8.21, 600.0)
CAMERA = Camera("lens <A> & B", 400, 300, 400.0, 201.0, 149.0)
HEIGHT_M = 40.0
NASTY = "<script>alert('x')</script>&.JPG"
NAMES = ("one.JPG", NASTY, "three.JPG", "four.JPG")
# Local metres: two lines of two photos.
PLACES = ((-8.0, -8.0), (8.0, -8.0), (8.0, 8.0), (-8.0, 8.0))
DOWN = np.diag([1.0, -1.0, -1.0])


def block() -> Block:
    """Four nadir photos 40 m above a plane, with tie points that fit without error."""
    shots = tuple(
        Shot(name, CAMERA.name, DOWN, np.array([*place, HEIGHT_M]))
        for name, place in zip(NAMES, PLACES, strict=True)
    )
    mesh = np.meshgrid(np.linspace(-20.0, 20.0, 24), np.linspace(-18.0, 18.0, 24))
    points = np.column_stack([axis.ravel() for axis in mesh] + [np.zeros(24 * 24)])
    pixels = [CAMERA.project(shot.to_camera(points)) for shot in shots]
    inside = [np.all((seen > 0.0) & (seen < (399.0, 299.0)), axis=1) for seen in pixels]
    ties = TiePoints(
        points,
        np.repeat(np.arange(4, dtype=np.int32), [mask.sum() for mask in inside]),
        np.concatenate([np.flatnonzero(mask) for mask in inside]).astype(np.int32),
        np.concatenate([seen[mask] for seen, mask in zip(pixels, inside, strict=True)]),
    )
    return Block(FRAME, {CAMERA.name: CAMERA}, shots, ties)


def survey_facts() -> dict[str, Any]:
    """A ``survey.json`` with a contradiction, a warning and a damaged file."""
    east, north, _ = FRAME.map_origin
    return {
        "created_at": "2026-05-05T08:00:00+00:00",
        "software": {"cairn": "0.1.0", "numpy": "2.4.6"},
        "point_cloud": {"written_by": "PDAL 2.8.4", "count": 571577, "outlier_count": 121},
        "epsg": 32632,
        "crs_name": "WGS 84 / UTM zone 32N",
        "vertical_datum": "ellipsoidal",
        "local_frame": FRAME.to_json(),
        "bounds": [east - 20.0, north - 15.0, east + 20.0, north + 15.0],
        "cell_size_m": 0.5,
        "gsd_m": 0.025,
        "image_count": 5,
        "registered_count": 4,
        "captured_at": "2026-05-04T10:42:07.000",
        "options": {"quality": "standard", "engine": "colmap", "epsg": None},
        "set_aside": [{"name": "<b>torn</b>.JPG", "reason": "truncated <after> 3 kB"}],
        "verdict": {
            "findings": [
                {
                    "level": "warn",
                    "code": "gaps",
                    "message": "A gap <here>.",
                    "remedy": "Fly it again & again.",
                    "photos": [NASTY],
                }
            ],
            "photo_count": 5,
            "gsd_m": 0.025,
            "flying_height_m": 40.0,
            "area_m2": 1500.0,
            "overlap": 0.61,
            "views": 3.0,
        },
        "notes": ["The measured altitudes contradict the geometry: 53 m."],
        "stages": [{"stage": "dense", "seconds": 316.0, "cpu_seconds": 110.0}],
        "products": [
            {"path": "dsm.tif", "size_bytes": 1140246, "sha256": "ab" * 32},
            {"path": "model/0/0.glb", "size_bytes": 2000, "sha256": "cd" * 32},
        ],
    }


def accuracy_facts() -> dict[str, Any]:
    """An ``accuracy.json`` with two control points and two check points."""
    east, north, up = FRAME.map_origin
    images = [
        {
            "name": name,
            "registered": True,
            "tie_points": 1234,
            "position_residual_m": [0.01 * (index + 1), -0.02, 0.03],
        }
        for index, name in enumerate(NAMES)
    ]
    images.append(
        {"name": "lost.JPG", "registered": False, "tie_points": 0, "position_residual_m": None}
    )
    lens = {"focal_px": 400.0, "cx_px": 201.0, "cy_px": 149.0, "k1": -0.1}
    return {
        "image_count": 5,
        "registered_count": 4,
        "images": images,
        "reprojection_error_px": 0.214,
        "pixel_sigma": 0.2,
        "cameras": {CAMERA.name: {**lens, "focal_px_sigma": 0.25, "k1_sigma": 7e-5}},
        "position_offset_m": [0.0, 0.0, 0.0],
        "position_drift_m": [0.0, 0.0, 0.0],
        "position_rmse_m": {"horizontal": 0.034, "vertical": 0.03},
        "control_points": [
            {
                "name": "gcp <1>",
                "coordinates": [east - 5.0, north, up],
                "residual_m": [0.003, 0.004, -0.012],
            },
            {
                "name": "gcp 2",
                "coordinates": [east + 5.0, north, up],
                "residual_m": [-0.003, -0.004, 0.012],
            },
        ],
        "check_points": [
            {
                "name": "CHK1",
                "coordinates": [east, north + 4.0, up],
                "error_m": [0.03, 0.04, -0.06],
            },
            {
                "name": "CHK2",
                "coordinates": [east, north - 4.0, up],
                "error_m": [0.03, 0.04, 0.06],
            },
        ],
        "check_point_rmse_m": {"horizontal": 0.05, "vertical": 0.06},
        "level_sigma_deg": 1.3,
        "horizontal_scale_sigma": 1e-4,
        "height_scale_sigma": 4e-4,
        "scale_sigma": 2e-4,
        "vertical_sigma_m": 0.05,
        "tilt_sigma": 3e-4,
        "block_deformation": [{"sigma_m": 0.0001, "range_m": 19.0}],
        "dsm_noise": {
            "sigma_m": 0.003,
            "components": [
                {"sigma_m": 0.003, "range_m": 1.0},
                {"sigma_m": 0.0001, "range_m": 19.0},
            ],
        },
        "dsm_area_m2": 1100.0,
        "dsm_median_matches": 7.0,
        "stereo_pair_count": 5,
    }


def camera_facts() -> dict[str, Any]:
    """A ``cameras.geojson`` of four placed photos, one lost one and one damaged file."""
    features = []
    for name, place in zip(NAMES, PLACES, strict=True):
        point = np.array([[*place, HEIGHT_M]])
        latitude, longitude, altitude = (float(v[0]) for v in FRAME.to_geodetic(point))
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": FRAME.to_map(point)[0].tolist()},
                "properties": {
                    "name": name,
                    "registered": True,
                    "measured": {
                        "latitude_deg": latitude,
                        "longitude_deg": longitude,
                        "altitude_m": altitude,
                        "horizontal_sigma_m": 0.015,
                        "vertical_sigma_m": 0.03,
                        "source": "rtk",
                    },
                    "looks_along": [0.0, 0.0, -1.0],
                    "camera": CAMERA.name,
                },
            }
        )
    for name, reason in (("lost.JPG", "Too few matches."), ("<b>torn</b>.JPG", "truncated")):
        properties = {"name": name, "registered": False, "reason": reason}
        features.append({"type": "Feature", "geometry": None, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def write(
    folder: Path,
    survey: dict[str, Any],
    accuracy: dict[str, Any] | None = None,
    cameras: dict[str, Any] | None = None,
) -> Path:
    """Write the JSON files of a survey."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in (
        ("survey.json", survey),
        ("accuracy.json", accuracy),
        ("cameras.geojson", cameras),
    ):
        if values is not None:
            (folder / name).write_text(json.dumps(values), encoding="utf-8")
    return folder


def write_rasters(folder: Path) -> None:
    """A tilted plane with one hole, its quality and a grey orthomosaic, cells of half a metre."""
    east, north, _ = FRAME.map_origin
    grid = Grid(32632, east - 20.0, north + 15.0, 0.5, 60, 80)
    elevation = np.tile(np.linspace(600.0, 602.0, grid.cols, dtype=np.float32), (grid.rows, 1))
    elevation[28:32, 38:42] = np.nan
    with float_cog(folder / "dsm.tif", grid, ["elevation_m"]) as writer:
        writer.write(0, 0, elevation)
    matches = np.where(np.isnan(elevation), np.nan, 7.0).astype(np.float32)
    spread = np.where(np.isnan(elevation), np.nan, 0.01).astype(np.float32)
    with float_cog(folder / "dsm_quality.tif", grid, ["matches", "spread_m"]) as writer:
        writer.write(0, 0, np.stack((matches, spread)))
    with rgba_cog(folder / "orthomosaic.tif", grid) as writer:
        writer.write(0, 0, np.full((4, grid.rows, grid.cols), 255, np.uint8))


def whole_survey(folder: Path) -> Path:
    """Everything that a finished survey holds."""
    write(folder, survey_facts(), accuracy_facts(), camera_facts())
    write_rasters(folder)
    working = folder / "work" / "georeference"
    working.mkdir(parents=True)
    block().save(working)
    return folder
