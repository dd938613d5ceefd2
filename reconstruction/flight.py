"""Judging a flight before any heavy work: what cannot work, what a surveyor should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.coverage import Coverage, measure_coverage
from reconstruction.layout import Layout, lay_out
from reconstruction.photo import Photo
from reconstruction.quality import PhotoQuality
from reconstruction.verdict import Finding, FlightVerdict

Floats = NDArray[np.float64]

_LEAST_PHOTOS = 3
_LEAST_POSITIONS = 3
_LEAST_CONTROL = 3
# Two photos closer than this share of the flying height have no parallax to speak of.
_LEAST_BASE_RATIO = 0.02
_HOLDING_OVERLAP = 0.2
_GOOD_OVERLAP = 0.6
_REFUSED_OVERLAP = 0.1
_DEEPER_GROUND = 2.0
_THIN_LIMIT = 0.25
# What `PhotoQuality.sharpness` is without any fine detail.
_BLANK_SHARPNESS = 0.25
_SOFT_SHARPNESS = 0.42
_BLURRED_SHARE = 0.45
_DARK_MEDIAN = 25.0
_CLIPPED_LIMIT = 0.25
_RTK_FIXED_M = 0.1
_PAUSE_S = 900.0
_OBLIQUE_DEG = 20.0
_SKY_PITCH_DEG = -25.0


def judge_flight(
    photos: tuple[Photo, ...],
    quality: tuple[PhotoQuality, ...],
    set_aside: tuple[tuple[str, str], ...] = (),
    control_count: int = 0,
) -> FlightVerdict:
    """The verdict on a flight.

    Parameters
    ----------
    photos : tuple of Photo
        Usable photos.
    quality : tuple of PhotoQuality
        One for each photo.
    set_aside : tuple of (str, str)
        Name and reason of files that are not used.
    control_count : int
        Ground control points; check points do not count.

    Returns
    -------
    FlightVerdict
    """
    findings = [*_count(photos, set_aside)]
    if not photos:
        return FlightVerdict(tuple(findings), 0)
    layout = lay_out(photos)
    known = np.flatnonzero(layout.placed & np.isfinite(layout.gsd_m))
    findings += _place_and_scale(photos, control_count)
    findings += _positions(photos, layout)
    coverage = None
    if len(known) >= _LEAST_PHOTOS:
        coverage = measure_coverage(layout, known, _HOLDING_OVERLAP)
        findings += _overlap(photos, layout, known, coverage)
    else:
        findings += _overlap_unknown(layout)
    findings += _rtk(photos, control_count)
    findings += _cameras(photos)
    findings += _angles(photos)
    findings += _times(photos)
    findings += _blur(photos, quality)
    findings += _exposure(photos, quality)
    gravity = {"refuse": 0, "warn": 1, "info": 2}
    return FlightVerdict(
        findings=tuple(sorted(findings, key=lambda finding: gravity[finding.level])),
        photo_count=len(photos),
        gsd_m=_median(layout.gsd_m),
        flying_height_m=_median(layout.height_m),
        area_m2=coverage.area_m2 if coverage else None,
        overlap=_median(coverage.best_overlap) if coverage else None,
        views=coverage.median_views if coverage else None,
    )


def _median(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _names(photos: tuple[Photo, ...], chosen: NDArray[Any]) -> tuple[str, ...]:
    """Names of the photos at indices, or where a mask is set."""
    indices = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
    return tuple(photos[index].name for index in indices)


def _count(photos: tuple[Photo, ...], set_aside: tuple[tuple[str, str], ...]) -> Iterator[Finding]:
    if len(photos) < _LEAST_PHOTOS:
        yield Finding(
            "refuse",
            "too-few",
            f"{len(photos)} usable photos, and at least {_LEAST_PHOTOS} are needed.",
            "Add the rest of the flight, and copy damaged photos again from the card.",
        )
    if set_aside:
        first = "; ".join(f"{name}: {reason}" for name, reason in set_aside[:3])
        more = " and others" if len(set_aside) > 3 else ""
        yield Finding(
            "warn",
            "set-aside",
            f"{len(set_aside)} files are set aside ({first}{more}).",
            "Copy damaged photos again from the card.",
            tuple(name for name, _ in set_aside),
        )


def _place_and_scale(photos: tuple[Photo, ...], control_count: int) -> Iterator[Finding]:
    """Refuse what nothing places and scales; say so where control alone does."""
    count = sum(photo.position is not None for photo in photos)
    if count >= _LEAST_POSITIONS:
        return
    have = f"Only {count} photos have a position" if count else "No photo has a position"
    if control_count >= _LEAST_CONTROL:
        yield Finding(
            "info",
            "control-only",
            f"{have}: place and scale come from the {control_count} ground control points alone.",
        )
        return
    yield Finding(
        "refuse",
        "no-positions",
        f"{have}, and there are {control_count or 'no'} ground control points: nothing tells the"
        " place and scale, and without scale there is no volume.",
        f"Give at least {_LEAST_CONTROL} ground control points, better 5 (--gcp), or a position"
        " file (--geo).",
    )


def _positions(photos: tuple[Photo, ...], layout: Layout) -> Iterator[Finding]:
    missing = ~np.isfinite(layout.xy[:, 0])
    if missing.all():
        return
    if missing.any():
        yield Finding(
            "warn",
            "positions-missing",
            f"{missing.sum()} of {len(photos)} photos have no position; they are paired by"
            " likeness.",
            "Nothing to do if the others cover the site.",
            _names(photos, missing),
        )
    if layout.wild.any():
        yield Finding(
            "warn",
            "positions-wild",
            f"{layout.wild.sum()} photos have a position far away from all others; it is not used"
            " to find their neighbours.",
            "Remove photos that belong to another site.",
            _names(photos, layout.wild),
        )
    yield from _same_place(photos, layout)


def _same_place(photos: tuple[Photo, ...], layout: Layout) -> Iterator[Finding]:
    height_m = _median(layout.height_m) or 0.0
    least_m = max(1.0, _LEAST_BASE_RATIO * height_m)
    placed = layout.placed.sum()
    # A few positions in one place say nothing about the photos that have none.
    if layout.spread_m < least_m and placed >= max(2.0, 0.5 * len(photos)):
        yield Finding(
            "refuse",
            "same-place",
            f"The positions of {placed} photos lie within {layout.spread_m:.2f} m: all were taken"
            " from the same place, and from there no depth can be measured.",
            "Fly over the site. If the drone did move and its receiver was stuck, give a position"
            " file (--geo).",
        )
        return
    xy = layout.xy[layout.placed]
    repeated = len(xy) - len(np.unique(xy, axis=0))
    if repeated >= max(2.0, 0.1 * len(xy)):
        yield Finding(
            "warn",
            "positions-repeated",
            f"{repeated} of {len(xy)} positions repeat another one exactly: the receiver was slower"
            " than the camera.",
            "Trust the scale only with ground control points.",
        )


def _overlap(
    photos: tuple[Photo, ...], layout: Layout, known: NDArray[np.intp], coverage: Coverage
) -> Iterator[Finding]:
    generous = measure_coverage(layout, known, _REFUSED_OVERLAP, _DEEPER_GROUND)
    share = float(np.median(coverage.best_overlap))
    # Where other photos may still link what is known, nothing is refused.
    if np.sum(generous.group == 0) < _LEAST_PHOTOS and len(known) == len(photos):
        yield Finding(
            "refuse",
            "no-overlap",
            f"No {_LEAST_PHOTOS} photos overlap: neighbours have {share:.0%} of their ground in"
            f" common at {_median(layout.height_m):.0f} m above ground.",
            "Fly again with 80 % forward and 70 % side overlap.",
        )
        return
    if share < _GOOD_OVERLAP:
        yield Finding(
            "warn",
            "low-overlap",
            f"Nearest photos have {share:.0%} of their ground in common.",
            "Fly with 80 % forward and 70 % side overlap next time.",
        )
    apart = coverage.group > 0
    if apart.any():
        yield Finding(
            "warn",
            "gaps",
            f"{apart.sum()} photos do not overlap with the main group of {(~apart).sum()}; they may"
            " be lost.",
            "Fly the gap again, or process the parts one by one.",
            _names(photos, known[apart]),
        )
    if coverage.thin_fraction > _THIN_LIMIT:
        yield Finding(
            "warn",
            "thin-coverage",
            f"Fewer than 3 photos show {coverage.thin_fraction:.0%} of the ground between the"
            " flight lines.",
            "Expect holes there; fly with more side overlap next time.",
        )


def _overlap_unknown(layout: Layout) -> Iterator[Finding]:
    reason = "no positions" if not layout.placed.any() else "no flying height"
    yield Finding(
        "info",
        "overlap-unknown",
        f"The overlap is not known before matching: the photos tell {reason}.",
    )


def _rtk(photos: tuple[Photo, ...], control_count: int) -> Iterator[Finding]:
    measured = [photo.position for photo in photos if photo.position]
    if not measured:
        return
    fixed = [position.horizontal_sigma_m <= _RTK_FIXED_M for position in measured]
    datums = Counter(photo.altitude_datum for photo in photos if photo.position)
    if all(fixed):
        sigma_m = float(np.median([position.horizontal_sigma_m for position in measured]))
        yield Finding("info", "rtk-fixed", f"All positions are good to {sigma_m * 100:.0f} cm.")
    elif any(fixed) or any(position.source == "rtk" for position in measured):
        loose = tuple(
            photo.name
            for photo in photos
            if photo.position and photo.position.horizontal_sigma_m > _RTK_FIXED_M
        )
        yield Finding(
            "warn",
            "rtk-partly",
            f"{len(loose)} of {len(measured)} positions have no fixed RTK solution.",
            "They count little in the adjustment. Check the link to the base station.",
            loose,
        )
    elif control_count >= _LEAST_CONTROL:
        yield Finding(
            "info",
            "positions-coarse",
            "The positions are good to metres: place and scale come from the"
            f" {control_count} ground control points.",
        )
    else:
        yield Finding(
            "info",
            "positions-coarse",
            "The positions are good to metres: without control points, place and scale are"
            " no better.",
            "Ground control points (--gcp) make volumes accurate.",
        )
    if len(datums) > 1:
        shown = ", ".join(f"{count} {datum}" for datum, count in datums.most_common())
        yield Finding(
            "warn",
            "altitudes-mixed",
            f"The altitudes are not of one kind ({shown}).",
            "Give one vertical datum with a position file (--geo).",
        )


def _cameras(photos: tuple[Photo, ...]) -> Iterator[Finding]:
    cameras = Counter(photo.camera for photo in photos)
    if len(cameras) > 1:
        shown = ", ".join(f"{camera} ({count})" for camera, count in cameras.most_common(4))
        yield Finding("info", "cameras-mixed", f"{len(cameras)} cameras or settings: {shown}.")
    rare = tuple(photo.name for photo in photos if cameras[photo.camera] < _LEAST_PHOTOS)
    if rare and len(rare) < len(photos):
        yield Finding(
            "warn",
            "cameras-rare",
            f"{len(rare)} photos are the only ones of their camera, size or zoom, which cannot be"
            " calibrated from them.",
            "Keep zoom and image size fixed during a flight.",
            rare,
        )
    unknown = tuple(photo.name for photo in photos if photo.focal_px is None)
    if unknown:
        yield Finding(
            "warn",
            "focal-unknown",
            f"{len(unknown)} photos do not tell their focal length; a usual one is the start.",
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
            f"{oblique.sum()} of {len(photos)} photos look obliquely.",
            photos=_names(photos, oblique),
        )
    sky = pitches > _SKY_PITCH_DEG
    if sky.any():
        yield Finding(
            "warn",
            "horizon",
            f"{sky.sum()} photos look towards the horizon and show mostly what is far away.",
            "Leave them out, or tilt the camera down to 45°.",
            _names(photos, sky),
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
            f"{blurred.sum()} of {len(photos)} photos are blurred compared with the others.",
            "Leave them out if the others overlap enough; shorten the exposure next time.",
            _names(photos, blurred),
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
    for mask, code, what in ((dark, "dark", "too dark"), (bright, "bright", "overexposed")):
        if mask.any():
            yield Finding(
                "warn",
                code,
                f"{mask.sum()} of {len(photos)} photos are {what}.",
                "Expect holes there; set the exposure by the bright material next time.",
                _names(photos, mask),
            )
