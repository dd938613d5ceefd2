"""Judging a flight before any heavy work: what cannot work, what a surveyor should know."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from reconstruction.control import Control
from reconstruction.coverage import measure_coverage
from reconstruction.frame import median_apart_m
from reconstruction.layout import lay_out
from reconstruction.photo import LEAST_PHOTOS, Photo
from reconstruction.picture_findings import judge_pictures
from reconstruction.position_findings import judge_positions
from reconstruction.quality import PhotoQuality
from reconstruction.verdict import Finding, FlightVerdict
from reconstruction.wording import counted

_HOLDING_OVERLAP = 0.2
# No flight is this far from its control; a CRS that is not the list's may be.
_ELSEWHERE_KM = 5.0


def judge_flight(
    photos: tuple[Photo, ...],
    quality: tuple[PhotoQuality, ...],
    set_aside: tuple[tuple[str, str], ...] = (),
    control: Control | None = None,
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
    control : Control or None
        Surveyed points, for their number and for what its list is to be told of.

    Returns
    -------
    FlightVerdict
    """
    findings = [*_count(photos, set_aside), *_of_list(control), *_elsewhere(photos, control)]
    if not photos:
        return FlightVerdict(tuple(findings), 0)
    layout = lay_out(photos)
    coverage = None
    if len(layout.scaled) >= LEAST_PHOTOS:
        coverage = measure_coverage(layout, layout.scaled, _HOLDING_OVERLAP)
    control_count = len(control.control_points) if control else 0
    findings += judge_positions(photos, layout, coverage, control_count)
    findings += judge_pictures(photos, quality)
    gravity = {"refuse": 0, "warn": 1, "info": 2}
    return FlightVerdict(
        findings=tuple(sorted(findings, key=lambda finding: gravity[finding.level])),
        photo_count=len(photos),
        gsd_m=layout.median_gsd_m,
        flying_height_m=layout.median_height_m,
        area_m2=coverage.area_m2 if coverage else None,
        overlap=float(np.median(coverage.best_overlap)) if coverage else None,
        views=coverage.median_views if coverage else None,
    )


def _count(photos: tuple[Photo, ...], set_aside: tuple[tuple[str, str], ...]) -> Iterator[Finding]:
    if len(photos) < LEAST_PHOTOS:
        yield Finding(
            "refuse",
            "too-few",
            f"Usable photos: {len(photos)}; at least {LEAST_PHOTOS} are needed.",
            "Add the rest of the flight, and copy damaged photos again from the card.",
        )
    if set_aside:
        first = "; ".join(f"{name}: {reason}" for name, reason in set_aside[:3])
        more = " and others" if len(set_aside) > 3 else ""
        yield Finding(
            "warn",
            "set-aside",
            f"{counted(len(set_aside), 'file is', 'files are')} set aside ({first}{more}).",
            "Copy damaged photos again from the card.",
            tuple(name for name, _ in set_aside),
        )


def _of_list(control: Control | None) -> Iterator[Finding]:
    for note in control.notes if control else ():
        yield Finding("warn", "control-list", note)


def _elsewhere(photos: tuple[Photo, ...], control: Control | None) -> Iterator[Finding]:
    """Tell of control that lies at another place than the photos."""
    points = control.control_points if control else ()
    positions = [photo.position for photo in photos if photo.position]
    if not points or not positions:
        return
    some, others = (
        [(place.latitude_deg, place.longitude_deg) for place in places]
        for places in zip(*product(points, positions), strict=True)
    )
    apart_m = median_apart_m(some, others)
    if apart_m > _ELSEWHERE_KM * 1000.0:
        yield Finding(
            "warn",
            "control-elsewhere",
            f"The ground control points lie {apart_m / 1000.0:,.0f} km away from the photos'"
            " positions.",
            "Check the CRS of the list, and that x is the easting or longitude and y the northing"
            " or latitude.",
        )
