"""Observations of the adjustment besides tie points: what photos and control lists say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted
from reconstruction.block import SparseModel
from reconstruction.control import Control
from reconstruction.frame import LocalFrame
from reconstruction.network import ControlObservations, FocalPrior, MeasuredPositions
from reconstruction.photo import Photo
from reconstruction.rolling_shutter import seconds_of
from reconstruction.wording import counted

Array = NDArray[np.float64]

# What the measured positions may be off by together, and drift by over a flight, metres
# (east, north, up): by the receiver, and with control by the difference of two datums.
_OFFSET_M = {"rtk": (0.03, 0.03, 0.05), "consumer": (3.0, 3.0, 8.0)}
_DRIFT_M = {"rtk": (0.005, 0.005, 0.01), "consumer": (3.0, 3.0, 3.0)}
# What they may lag behind the photos by. With corrections receivers tell the moment of exposure.
_DELAY_S = {"rtk": 1e-3, "consumer": 2.0}
_DATUM_OFFSET_M = (20.0, 20.0, 200.0)
_WORTHLESS_M = 1e4
_U95 = 1.96  # half of a 95 % interval, in sigmas
_LATE = 3.0  # sigmas from which on a delay is told
_WILD = 4.0  # sigmas from which on a position or altitude is named to the surveyor
# Of a focal length that was found without any hint; relative.
_FOUND_SIGMA = 0.15


def measured_places(model: SparseModel, photos: Mapping[str, Photo], frame: LocalFrame) -> Array:
    """Measured local positions of the shots, shape (n, 3), NaN where unknown."""
    measured = np.full((len(model.shots), 3), np.nan)
    for index, shot in enumerate(model.shots):
        position = photos[shot.name].position
        if position is None:
            continue
        altitude = position.altitude_m
        xyz = frame.from_geodetic(
            np.array([position.latitude_deg]),
            np.array([position.longitude_deg]),
            np.array([frame.elevation_m if altitude is None else altitude]),
        )[0]
        measured[index] = xyz
        if altitude is None:
            measured[index, 2] = np.nan
    return measured


def position_observations(
    placed: SparseModel, photos: Mapping[str, Photo], measured: Array, control: Control
) -> MeasuredPositions:
    """Projection centres as measured, with what they may be off by together.

    Parameters
    ----------
    placed : SparseModel
        In the local frame.
    photos : mapping of str to Photo
    measured : ndarray, shape (n, 3)
        Local positions that are believed, NaN where not.
    control : Control
    """
    known = np.flatnonzero(np.isfinite(measured[:, 0]))
    seconds, are_times = _seconds([photos[placed.shots[index].name] for index in known])
    order = np.argsort(seconds, kind="stable")
    known, seconds = known[order], seconds[order]
    given = [photos[placed.shots[index].name].position for index in known]
    positions = [position for position in given if position is not None]
    sigma = np.array(
        [(p.horizontal_sigma_m, p.horizontal_sigma_m, p.vertical_sigma_m) for p in positions]
    ).reshape(-1, 3)
    xyz = measured[known].copy()
    centres = np.array([placed.shots[index].centre for index in known]).reshape(-1, 3)
    # A height that is unknown or not believed hangs by a thread that only fixes the mean.
    lost = np.isnan(xyz[:, 2])
    altitudes = np.array([p.altitude_m for p in positions], dtype=np.float64)
    sigma[lost, 2] = _doubt_m((altitudes - centres[:, 2])[lost])
    xyz[lost, 2] = centres[lost, 2]
    nothing = np.zeros(3)
    found = MeasuredPositions(known.astype(np.int32), xyz, sigma, seconds, nothing, nothing, 0.0)
    kind = "rtk" if found.are_precise else "consumer"
    offset = _DATUM_OFFSET_M if control.control_points else _OFFSET_M[kind]
    return replace(
        found,
        offset_sigma=np.array(offset),
        drift_sigma=np.array(_DRIFT_M[kind]),
        delay_sigma=_DELAY_S[kind if are_times else "rtk"],
    )


def _doubt_m(rises: Array) -> Array:
    """What heights that are not believed are worth: their mean is off by no more than their range.

    Parameters
    ----------
    rises : ndarray, shape (n,)
        Measured altitude less modelled height, metres; NaN where nothing was measured.
    """
    measured = np.isfinite(rises)
    if not measured.any():
        return np.full(len(rises), _WORTHLESS_M)
    return np.where(measured, np.ptp(rises[measured]) * np.sqrt(measured.sum()), _WORTHLESS_M)


def focal_priors(placed: SparseModel, photos: Mapping[str, Photo]) -> dict[str, FocalPrior]:
    """What EXIF says of each focal length, or failing that what the free model found."""
    priors = {
        name: FocalPrior(camera.focal_px, _FOUND_SIGMA, stated=False)
        for name, camera in placed.cameras.items()
    }
    for shot in placed.shots:
        photo = photos[shot.name]
        if photo.focal_px and photo.focal_sigma and photo.camera in priors:
            priors[photo.camera] = FocalPrior(photo.focal_px, photo.focal_sigma)
    return priors


def wild_positions(
    placed: SparseModel, positions: MeasuredPositions, adjusted: Adjusted
) -> tuple[str, ...]:
    """A note on measured positions that the photos contradict by what they claim to be good to."""
    if not len(positions.xyz):
        return ()
    residuals = adjusted.position_residuals
    off_m = {
        "position": np.linalg.norm(residuals[:, :2], axis=1),
        "altitude": np.abs(residuals[:, 2]),
    }
    notes = []
    for (what, off), sigma in zip(off_m.items(), positions.sigma[:, [0, 2]].T, strict=True):
        wild = np.flatnonzero(off > _WILD * sigma)
        if not len(wild):
            continue
        names = [placed.shots[positions.shot_index[index]].name for index in wild]
        listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        notes.append(
            f"{counted(len(names), f'measured {what} is', f'measured {what}s are')} up to"
            f" {off.max():.1f} m away from what the photos show, and of little weight: {listed}."
        )
    return tuple(notes)


def late_positions(adjusted: Adjusted) -> tuple[str, ...]:
    """A note on positions that lag behind the photos by more than chance."""
    sigma = float(np.sqrt(adjusted.covariance[-1, -1]))
    delay = adjusted.position_delay
    if abs(delay) < _LATE * sigma:
        return ()
    return (
        f"The measured positions {'lag behind' if delay > 0.0 else 'are ahead of'} the photos by"
        f" {abs(delay):.1f} ± {_U95 * sigma:.1f} s, which was taken into account. Positions of the"
        " flight's own log, written for the moments of exposure, would be more accurate.",
    )


def _seconds(photos: list[Photo]) -> tuple[Array, bool]:
    """When each photo was taken, True; where that is not known of all, their order, False."""
    seconds = np.array([seconds_of(photo.captured_at) for photo in photos])
    if len(photos) and np.isfinite(seconds).all() and np.ptp(seconds) > 0.0:
        return seconds, True
    names = [photo.captured_at or photo.name for photo in photos]
    return np.argsort(np.argsort(names, kind="stable"), kind="stable").astype(np.float64), False


def control_observations(
    placed: SparseModel, control: Control, frame: LocalFrame
) -> ControlObservations:
    """Control points in the local frame, with their marks in photos that the model has."""
    index = {shot.name: number for number, shot in enumerate(placed.shots)}
    shot_index, point_index, pixels = [], [], []
    points = control.control_points
    for number, point in enumerate(points):
        for mark in point.observations:
            if mark.photo in index:
                shot_index.append(index[mark.photo])
                point_index.append(number)
                pixels.append((mark.x_px, mark.y_px))
    return ControlObservations(
        np.array([point.local(frame) for point in points]).reshape(-1, 3),
        np.array(
            [(p.horizontal_sigma_m, p.horizontal_sigma_m, p.vertical_sigma_m) for p in points]
        ).reshape(-1, 3),
        np.array(shot_index, np.int32),
        np.array(point_index, np.int32),
        np.array(pixels, dtype=np.float64).reshape(-1, 2),
    )
