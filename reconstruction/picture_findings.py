"""What a flight's photos tell by themselves: cameras, angles, times, blur and exposure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import numpy as np

from reconstruction.photo import LEAST_PHOTOS, Photo, names_of
from reconstruction.quality import PhotoQuality
from reconstruction.verdict import Finding
from reconstruction.wording import counted

# What `PhotoQuality.sharpness` is without any fine detail.
_BLANK_SHARPNESS = 0.25
_SOFT_SHARPNESS = 0.42
_BLURRED_SHARE = 0.45
_DARK_MEDIAN = 25.0
_CLIPPED_LIMIT = 0.25
_PAUSE_S = 900.0
_OBLIQUE_DEG = 20.0
_SKY_PITCH_DEG = -25.0


def judge_pictures(
    photos: tuple[Photo, ...], quality: tuple[PhotoQuality, ...]
) -> Iterator[Finding]:
    """Findings on the photos; there is one ``quality`` for each."""
    yield from _cameras(photos)
    yield from _angles(photos)
    yield from _times(photos)
    yield from _blur(photos, quality)
    yield from _exposure(photos, quality)


def _cameras(photos: tuple[Photo, ...]) -> Iterator[Finding]:
    cameras = Counter(photo.camera for photo in photos)
    if len(cameras) > 1:
        shown = ", ".join(f"{camera} ({count})" for camera, count in cameras.most_common(4))
        yield Finding("info", "cameras-mixed", f"{len(cameras)} cameras or settings: {shown}.")
    rare = tuple(photo.name for photo in photos if cameras[photo.camera] < LEAST_PHOTOS)
    if rare and len(rare) < len(photos):
        yield Finding(
            "warn",
            "cameras-rare",
            f"{counted(len(rare), 'photo has', 'photos have')} a camera, size or zoom that too few"
            " share to calibrate it.",
            "Keep zoom and image size fixed during a flight.",
            rare,
        )
    unknown = tuple(photo.name for photo in photos if photo.focal_px is None)
    if unknown:
        yield Finding(
            "warn",
            "focal-unknown",
            f"{counted(len(unknown), 'photo does', 'photos do')} not tell the focal length; a usual"
            " one is the start.",
            "Use the original files, with EXIF.",
            unknown,
        )


def _angles(photos: tuple[Photo, ...]) -> Iterator[Finding]:
    pitches = np.array([np.nan if p.pitch_deg is None else p.pitch_deg for p in photos])
    oblique = np.abs(pitches + 90.0) > _OBLIQUE_DEG
    if oblique.any():
        yield Finding(
            "info",
            "oblique",
            f"Looking obliquely: {oblique.sum()} of {len(photos)} photos.",
            photos=names_of(photos, oblique),
        )
    sky = pitches > _SKY_PITCH_DEG
    if sky.any():
        yield Finding(
            "warn",
            "horizon",
            f"{counted(int(sky.sum()), 'photo looks', 'photos look')} towards the horizon, mostly"
            " at what is far away.",
            "Leave them out, or tilt the camera down to 45°.",
            names_of(photos, sky),
        )


def _times(photos: tuple[Photo, ...]) -> Iterator[Finding]:
    moments = sorted(datetime.fromisoformat(p.captured_at) for p in photos if p.captured_at)
    days = sorted({moment.date() for moment in moments})
    if len(days) > 1:
        yield Finding(
            "warn",
            "several-days",
            f"The photos are from {len(days)} days, {days[0]} to {days[-1]}: what moved in between"
            " comes out wrong.",
            "Process each day by itself.",
        )
        return
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    longest_s = max(pauses, default=0.0)
    if longest_s > _PAUSE_S:
        yield Finding(
            "info", "pause", f"There is a pause of {longest_s / 60.0:.0f} minutes in the flight."
        )


def _blur(photos: tuple[Photo, ...], quality: tuple[PhotoQuality, ...]) -> Iterator[Finding]:
    sharpness = np.array([value.sharpness for value in quality])
    cameras = np.array([photo.camera for photo in photos])
    blurred = np.zeros(len(photos), dtype=bool)
    for camera in set(cameras.tolist()):
        same = cameras == camera
        detail = sharpness[same] - _BLANK_SHARPNESS
        usual = np.median(detail)
        scatter = 1.4826 * np.median(np.abs(detail - usual))
        blurred[same] = (detail < _BLURRED_SHARE * usual) & (detail < usual - 3.0 * scatter)
    if blurred.any():
        yield Finding(
            "warn",
            "blurred",
            f"Blurred compared with the others: {blurred.sum()} of {len(photos)} photos.",
            "Leave them out if the others overlap enough; shorten the exposure next time.",
            names_of(photos, blurred),
        )
    if np.median(sharpness) < _SOFT_SHARPNESS:
        yield Finding(
            "warn",
            "soft",
            f"The whole flight is soft (sharpness {np.median(sharpness):.2f}, usual is above"
            f" {_SOFT_SHARPNESS:.2f}): details of a pixel or two are missing.",
            "Check focus, lens and shutter time; use the original files.",
        )


def _exposure(photos: tuple[Photo, ...], quality: tuple[PhotoQuality, ...]) -> Iterator[Finding]:
    dark = np.array(
        [
            value.median_level < _DARK_MEDIAN or value.dark_fraction > _CLIPPED_LIMIT
            for value in quality
        ]
    )
    bright = np.array([value.bright_fraction > _CLIPPED_LIMIT for value in quality])
    for mask, code, what in ((dark, "dark", "Too dark"), (bright, "bright", "Overexposed")):
        if mask.any():
            yield Finding(
                "warn",
                code,
                f"{what}: {mask.sum()} of {len(photos)} photos.",
                "Expect holes there; set the exposure by the bright material next time.",
                names_of(photos, mask),
            )
