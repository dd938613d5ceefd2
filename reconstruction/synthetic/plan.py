"""The flight plan: where the drone takes its photos, and where it believes it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.synthetic.exif import Fix
from reconstruction.synthetic.grid import Array
from reconstruction.synthetic.options import SIZES, FlightOptions, Size

Bounds = tuple[float, float, float, float]

# The true lens is not what the maker states; the principal point is off by this, pixels.
FOCAL_ERROR = 0.0035
_SPEED_M_S = 4.5


@dataclass(frozen=True)
class Waypoint:
    """One planned photo: place, and the direction it looks.

    Parameters
    ----------
    x, y, z : float
        Local metres.
    yaw_deg, pitch_deg, roll_deg : float
        Clockwise from grid north; -90 is straight down.
    """

    x: float
    y: float
    z: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float = 0.0


def true_camera(size: Size) -> Camera:
    """The camera of a size, as it really is."""
    return Camera(
        "demo",
        size.width_px,
        size.height_px,
        size.focal_px,
        0.5 * (size.width_px - 1) + 0.0041 * size.width_px,
        0.5 * (size.height_px - 1) - 0.0058 * size.height_px,
        k1=-0.102,
        k2=0.031,
        k3=-0.006,
        p1=0.0007,
        p2=-0.0005,
    )


def plan_flight(options: FlightOptions) -> tuple[Waypoint, ...]:
    """Strips to and fro, then an oblique pass back across the middle."""
    size = SIZES[options.size]
    photos = options.photos or size.photos
    oblique_count = min(size.oblique_photos, photos // 6)
    forward = size.height_px * size.gsd_m * (1.0 - size.forward)
    side = size.width_px * size.gsd_m * (1.0 - size.side)
    nadir_count = photos - oblique_count
    strip_count = max(1, min(nadir_count // 2, round(np.sqrt(nadir_count * forward / side))))
    strips = np.array_split(np.arange(nadir_count), strip_count)
    waypoints = []
    for index, strip in enumerate(strips):
        eastward = index % 2 == 0
        along = (np.arange(len(strip)) - 0.5 * (len(strip) - 1)) * forward
        x = size.centre[0] + (along if eastward else along[::-1])
        y = size.centre[1] + (index - 0.5 * (strip_count - 1)) * side
        yaw = 90.0 if eastward else -90.0
        waypoints += [Waypoint(float(at), y, size.height_m, yaw, -90.0) for at in x]
    reach = 0.5 * (len(strips[0]) - 1) * forward
    half_width = 0.5 * (strip_count - 1) * side
    for t in np.linspace(-1.0, 1.0, oblique_count):
        # Along a diagonal, always looking at the middle of the quarry.
        x, y = size.centre[0] + t * reach, size.centre[1] - t * half_width
        yaw = float(np.degrees(np.arctan2(-np.sign(t) * reach, np.sign(t) * half_width)))
        waypoints.append(Waypoint(x, y, 0.9 * size.height_m, yaw, -62.0))
    return tuple(waypoints)


def footprint(options: FlightOptions) -> Bounds:
    """All that the photos of a plan can show, with room for wind: west, south, east, north."""
    size = SIZES[options.size]
    camera = true_camera(size)
    # Rays of the image's edge with 5 % more than the ideal lens sees.
    right = 1.05 * max(camera.cx_px, size.width_px - camera.cx_px) / size.focal_px + 0.06
    down = 1.05 * max(camera.cy_px, size.height_px - camera.cy_px) / size.focal_px + 0.06
    rays = np.array([[i * right, j * down, 1.0] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    places = []
    for waypoint in plan_flight(options):
        directions = rays @ rotation(waypoint.yaw_deg, waypoint.pitch_deg, 0.0)
        reach = (waypoint.z + 6.0) / np.maximum(-directions[:, 2], 0.2)
        places.append(np.array([waypoint.x, waypoint.y]) + directions[:, :2] * reach[:, None])
    stacked = np.concatenate(places)
    west, south = np.floor(stacked.min(axis=0) - 2.0)
    east, north = np.ceil(stacked.max(axis=0) + 2.0)
    return float(west), float(south), float(east), float(north)


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Array:
    """World axes to camera axes of a gimbal, shape (3, 3).

    Parameters
    ----------
    yaw_deg : float
        Clockwise from the frame's y axis.
    pitch_deg : float
        -90 looks straight down; the top of the photo is then where the yaw points.
    roll_deg : float
        Clockwise about the viewing direction.
    """
    yaw, pitch, roll = np.deg2rad([yaw_deg, pitch_deg, roll_deg])
    ahead = np.array([np.sin(yaw), np.cos(yaw), 0.0])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    look = np.cos(pitch) * ahead + np.sin(pitch) * up
    down = np.sin(pitch) * ahead - np.cos(pitch) * up
    return np.stack(
        (
            np.cos(roll) * right + np.sin(roll) * down,
            np.cos(roll) * down - np.sin(roll) * right,
            look,
        )
    )


def fly(
    options: FlightOptions, waypoints: tuple[Waypoint, ...]
) -> tuple[tuple[Waypoint, ...], tuple[Shot, ...]]:
    """What wind makes of a plan: the attitudes that the gimbal reports, and the true shots."""
    rng = np.random.default_rng([options.seed, 51, options.week])
    flown, shots = [], []
    for index, plan in enumerate(waypoints):
        move = rng.normal(0.0, (0.35, 0.35, 0.25))
        turn = rng.normal(0.0, (1.2, 0.5, 0.5))
        report = rng.normal(0.0, (0.4, 0.1, 0.1))
        place = np.array([plan.x, plan.y, plan.z]) + move
        angles = np.array([plan.yaw_deg, plan.pitch_deg, plan.roll_deg]) + turn
        said = angles + report
        flown.append(Waypoint(*place, *said))
        shots.append(Shot(photo_name(index), "demo", rotation(*angles), place))
    return tuple(flown), tuple(shots)


def photo_name(index: int) -> str:
    """File name of a photo, counted from 0."""
    return f"DEMO_{index + 1:04d}.JPG"


def receive(options: FlightOptions, frame: LocalFrame, shots: tuple[Shot, ...]) -> list[Fix | None]:
    """Positions as the drone's receiver gives them."""
    if options.gps == "none":
        return [None] * len(shots)
    rng = np.random.default_rng([options.seed, 53, options.week])
    centres = np.array([shot.centre for shot in shots])
    count = len(shots)
    sigmas: tuple[float, float, float] | None = None
    if options.gps == "rtk":
        sigmas = (0.015, 0.015, 0.030)
        noise = rng.normal(0.0, sigmas, (count, 3))
    else:
        # Most of the error of a receiver without corrections is shared and drifts slowly.
        shared = rng.normal(0.0, (2.3, 2.3, 5.0))
        drift = np.cumsum(rng.normal(0.0, (0.12, 0.12, 0.15), (count, 3)), axis=0)
        noise = shared + drift + rng.normal(0.0, (0.3, 0.3, 0.4), (count, 3))
    latitude, longitude, elevation = frame.to_geodetic(centres + noise)
    # The height over the start comes from the barometer.
    relative = centres[:, 2] + 0.2 + np.cumsum(rng.normal(0.0, 0.03, count))
    said = rng.uniform(0.85, 1.15, (count, 3))
    return [
        Fix(
            float(latitude[k]),
            float(longitude[k]),
            float(elevation[k]),
            float(relative[k]),
            None if sigmas is None else tuple(float(v) for v in said[k] * sigmas),  # type: ignore[arg-type]
        )
        for k in range(count)
    ]


def seconds_into_flight(waypoints: tuple[Waypoint, ...]) -> Array:
    """When each photo is taken, seconds after the first."""
    places = np.array([[w.x, w.y, w.z] for w in waypoints])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return np.concatenate(([0.0], np.cumsum(steps / _SPEED_M_S)))
