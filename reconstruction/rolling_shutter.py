"""Rolling shutters: a drone flies on while its camera reads one row after the other.

The centre of a row is that of the middle row plus velocity times readout time times the row's
share of the picture, from -1/2 at the top to 1/2 at the bottom. The adjustment finds the readout
time of each camera; the velocities are those between neighbouring photos. Rotation during the
readout is left out: gimbals hold it below what tie points show.

References
----------
.. [1] J. Vautherin, S. Rutishauser, K. Schneider-Zapp, H. F. Choi, V. Chovancova, A. Glass,
   C. Strecha, "Photogrammetric accuracy and modeling of rolling shutter cameras", ISPRS Annals
   III-3, 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.photo import Photo

Array = NDArray[np.float64]

LONGEST_S = 20.0  # between photos; what a drone does in longer breaks is anybody's guess
_SAME = 0.5  # relative difference up to which two velocities are of the same straight flight


def with_velocities(shots: Sequence[Shot], photos: Mapping[str, Photo]) -> tuple[Shot, ...]:
    """The same shots, knowing how fast they moved.

    On a straight line that is the way from the photo before to the photo after; at a turn it is
    the way on the side that goes on straight. Photos without a time, and those that belong to no
    line, stand still.

    Parameters
    ----------
    shots : sequence of Shot
        In a frame of metres.
    photos : mapping of str to Photo

    Returns
    -------
    tuple of Shot
    """
    times_s = np.array([seconds_of(photos[shot.name].captured_at) for shot in shots])
    known = np.flatnonzero(np.isfinite(times_s))
    order = known[np.argsort(times_s[known], kind="stable")]
    centres = np.array([shots[index].centre for index in order]).reshape(-1, 3)
    found = dict(zip(order.tolist(), _velocities(centres, times_s[order]), strict=True))
    return tuple(
        replace(shot, velocity_m_s=found.get(index, np.zeros(3)))
        for index, shot in enumerate(shots)
    )


def seconds_of(captured_at: str | None) -> float:
    """A moment of `Photo` on a clock of seconds, NaN where it is unknown."""
    if captured_at is None:
        return float("nan")
    try:
        moment = datetime.fromisoformat(captured_at)
    except ValueError:
        return float("nan")
    return (moment.replace(tzinfo=None) - datetime(2000, 1, 1)).total_seconds()


def _velocities(centres: Array, times_s: Array) -> Array:
    """Velocities (n, 3) of centres in their order of time; 0 where there is no saying."""
    velocities = np.zeros_like(centres)
    gaps_s = np.diff(times_s)
    usable = (gaps_s > 0.0) & (gaps_s < LONGEST_S)
    legs = np.diff(centres, axis=0) / np.where(usable, gaps_s, 1.0)[:, None]
    # Leg i joins photos i and i + 1; straight[i]: the legs on both sides of photo i agree.
    straight = np.zeros(len(centres), bool)
    for index in range(1, len(centres) - 1):
        before, after = legs[index - 1], legs[index]
        larger = max(np.linalg.norm(before), np.linalg.norm(after))
        apart = float(np.linalg.norm(after - before))
        straight[index] = usable[index - 1] and usable[index] and apart <= _SAME * larger
    for index in np.flatnonzero(straight).tolist():
        # Over both legs, for times are often whole seconds.
        span_s = times_s[index + 1] - times_s[index - 1]
        velocities[index] = (centres[index + 1] - centres[index - 1]) / span_s
    for index in np.flatnonzero(~straight).tolist():
        if index > 0 and straight[index - 1]:
            velocities[index] = velocities[index - 1]
        elif index + 1 < len(centres) and straight[index + 1]:
            velocities[index] = velocities[index + 1]
    return velocities


def at_once(
    cameras: Mapping[str, Camera], shots: Sequence[Shot], depths_m: Array
) -> tuple[dict[str, Camera], tuple[Shot, ...]]:
    """Shots of cameras that take all rows at once and see the same.

    At one depth, moving on by the row is an affine map of the camera's axes: the shot's rotation
    takes it up and is then no longer quite orthogonal. At other depths a pixel is off by its shift
    times their relative difference, tenths of a pixel in common flights.

    Parameters
    ----------
    cameras : mapping of str to Camera
    shots : sequence of Shot
    depths_m : ndarray, shape (n,)
        Of the ground in each shot.

    Returns
    -------
    cameras : dict of str to Camera
        With a readout time of 0.
    shots : tuple of Shot
    """
    return (
        {name: replace(camera, readout_s=0.0) for name, camera in cameras.items()},
        tuple(
            _at_once(cameras[shot.camera], shot, depth_m)
            for shot, depth_m in zip(shots, depths_m, strict=True)
        ),
    )


def _at_once(camera: Camera, shot: Shot, depth_m: float) -> Shot:
    way = camera.readout_s * shot.velocity_m_s
    # Share of the row of a point = middle + by_y * y, with y in the camera's axes.
    middle = (camera.cy_px + 0.5) / camera.height_px - 0.5
    by_y = camera.focal_px / (camera.height_px * depth_m)
    bend = np.eye(3) - np.outer(shot.rotation @ way, [0.0, by_y, 0.0])
    return replace(
        shot,
        rotation=bend @ shot.rotation,
        centre=shot.centre + middle * way,
        velocity_m_s=np.zeros(3),
    )
