"""A simulated flight, from options to a folder of photos with their truth."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyproj

from reconstruction.alone import alone
from reconstruction.camera import Camera, Shot
from reconstruction.stage import Run
from reconstruction.synthetic.exif import Fix, PhotoFacts, write_photo
from reconstruction.synthetic.options import SIZES, FlightOptions
from reconstruction.synthetic.plan import (
    FOCAL_ERROR,
    Waypoint,
    fly,
    footprint,
    plan_flight,
    receive,
    seconds_into_flight,
    true_camera,
)
from reconstruction.synthetic.quarry import USUAL_YARD, Quarry, build_quarry, quarry_frame
from reconstruction.synthetic.renderer import Scene, prepare, render
from reconstruction.synthetic.sensor import Exposure, develop
from reconstruction.synthetic.targets import target_places, write_gcp_list
from reconstruction.synthetic.truth import true_block, write_piles, write_surfaces

VERSION = 5
_TERRAIN_CELL_M = 0.05
_SENSOR_WIDTH_MM = 13.2
_FIRST_PHOTO = datetime(2026, 5, 4, 10, 42, 7)


@dataclass(frozen=True)
class Flight:
    """The files of a simulated flight.

    Parameters
    ----------
    images, piles : Path
        Folder of the photos; the piles' outlines.
    gcp_list : Path or None
    dsm, ground, block, volumes : Path
        The truth.
    """

    images: Path
    piles: Path
    gcp_list: Path | None
    dsm: Path
    ground: Path
    block: Path
    volumes: Path


def load_flight(folder: Path) -> Flight:
    """The flight that was rendered into a folder."""
    truth = folder / "truth"
    gcp_list = folder / "gcp_list.txt"
    return Flight(
        folder / "images",
        folder / "piles.geojson",
        gcp_list if gcp_list.exists() else None,
        truth / "dsm.tif",
        truth / "ground.tif",
        truth / "block",
        truth / "volumes.json",
    )


def render_flight(folder: Path, options: FlightOptions, run: Run) -> Flight:
    """Render a flight into a folder, unless that very flight is there already.

    Parameters
    ----------
    folder : Path
        Replaced when it holds another flight.
    options : FlightOptions
    run : Run
        Progress, cancellation, and how many photos are rendered at once.

    Returns
    -------
    Flight
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with alone(lock, lambda: run.progress(0.0, "Waiting for another rendering of this flight")):
        if _is_rendered(folder, options):
            run.progress(1.0, "The flight is rendered already")
        else:
            _render_anew(folder, options, run)
    return load_flight(folder)


def _render_anew(folder: Path, options: FlightOptions, run: Run) -> None:
    """Put the flight in the place of what is there, all at once."""
    partial_folder = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    (partial_folder / "truth" / "block").mkdir(parents=True)
    (partial_folder / "images").mkdir()
    _render_into(partial_folder, options, run)
    (partial_folder / "scene.json").write_text(json.dumps(_facts(options), indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    partial_folder.rename(folder)


def _facts(options: FlightOptions) -> dict[str, object]:
    return {"version": VERSION, **asdict(options)}


def _is_rendered(folder: Path, options: FlightOptions) -> bool:
    try:
        return bool(json.loads((folder / "scene.json").read_text()) == _facts(options))
    except (OSError, ValueError):
        return False


def _render_into(folder: Path, options: FlightOptions, run: Run) -> None:
    size = SIZES[options.size]
    run.progress(0.0, "Building the quarry")
    yard = _yard(options)
    places = target_places(options, yard)
    quarry = build_quarry(
        options.seed, options.week, footprint(options), _TERRAIN_CELL_M, yard, places
    )
    scene = prepare(quarry, 0.5 * size.gsd_m, options.seed)
    camera = true_camera(size)
    reported, shots = fly(options, plan_flight(options))
    facts = photo_facts(options, reported, receive(options, quarry.frame, shots))
    exposures = _exposures(options, len(shots))
    take = partial(_take, scene, camera, folder / "images")
    run.part(0.05, 0.9).map(
        lambda photo: take(*photo), list(zip(shots, facts, exposures, strict=True)), "Photo"
    )
    run.progress(0.9, "Writing the truth")
    _write_truth(folder, options, quarry, scene, camera, shots)


def _write_truth(
    folder: Path,
    options: FlightOptions,
    quarry: Quarry,
    scene: Scene,
    camera: Camera,
    shots: tuple[Shot, ...],
) -> None:
    write_surfaces(folder / "truth", quarry)
    write_piles(folder, quarry, shots, camera)
    true_block(quarry, scene, camera, shots, options.seed).save(folder / "truth" / "block")
    if quarry.targets:
        write_gcp_list(folder / "gcp_list.txt", quarry, scene, camera, shots, options.seed)


def _yard(options: FlightOptions) -> tuple[float, float, float, float]:
    """The usual yard, or a larger one where the flight is larger."""
    places = np.array([(waypoint.x, waypoint.y) for waypoint in plan_flight(options)])
    west, south = np.minimum(places.min(axis=0) - 3.0, USUAL_YARD[:2])
    east, north = np.maximum(places.max(axis=0) + 3.0, USUAL_YARD[2:])
    return float(west), float(south), float(east), float(north)


def _take(
    scene: Scene, camera: Camera, folder: Path, shot: Shot, facts: PhotoFacts, exposure: Exposure
) -> None:
    light = render(scene, camera, shot)
    write_photo(folder / shot.name, develop(light, camera, exposure), facts)


def _exposures(options: FlightOptions, count: int) -> list[Exposure]:
    """Brightness drifts as light haze passes; each photo has noise of its own."""
    rng = np.random.default_rng([options.seed, 81, options.week])
    drift = np.cumsum(rng.normal(0.0, 0.012, count)) + rng.normal(0.0, 0.015, count)
    drift -= drift.mean()
    gains = 1.0 * np.exp(drift)
    return [
        Exposure(float(gain), (options.seed, 83, options.week, index))
        for index, gain in enumerate(gains)
    ]


def photo_facts(
    options: FlightOptions, reported: tuple[Waypoint, ...], fixes: list[Fix | None]
) -> list[PhotoFacts]:
    """What the drone writes into its photos."""
    size, frame = SIZES[options.size], quarry_frame()
    factors = pyproj.Proj(frame.epsg).get_factors(frame.longitude_deg, frame.latitude_deg)
    stated_px = size.focal_px * (1.0 + FOCAL_ERROR)
    start = _FIRST_PHOTO + timedelta(days=7 * options.week)
    return [
        PhotoFacts(
            start + timedelta(seconds=float(seconds)),
            round(stated_px * _SENSOR_WIDTH_MM / size.width_px, 2),
            _SENSOR_WIDTH_MM,
            # Gimbals count from true north, the frame from grid north.
            _half_turn(waypoint.yaw_deg + factors.meridian_convergence),
            waypoint.pitch_deg,
            _half_turn(waypoint.roll_deg),
            1.0 / 800.0,
            fix,
        )
        for waypoint, fix, seconds in zip(
            reported, fixes, seconds_into_flight(reported), strict=True
        )
    ]


def _half_turn(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0
