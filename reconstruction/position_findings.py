"""What the positions of a flight tell: place, scale and overlap, and how far to trust them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from reconstruction.coverage import Coverage, measure_coverage
from reconstruction.layout import Layout
from reconstruction.photo import LEAST_PHOTOS, Photo, names_of
from reconstruction.verdict import Finding
from reconstruction.wording import counted

_LEAST_POSITIONS = 3
_LEAST_CONTROL = 3
# Two photos closer than this share of the flying height have no parallax to speak of.
_LEAST_BASE_RATIO = 0.02
_GOOD_OVERLAP = 0.6
_REFUSED_OVERLAP = 0.1
_DEEPER_GROUND = 2.0
_THIN_LIMIT = 0.25
_RTK_FIXED_M = 0.1


def judge_positions(
    photos: tuple[Photo, ...], layout: Layout, coverage: Coverage | None, control_count: int
) -> Iterator[Finding]:
    """Findings on the positions.

    Parameters
    ----------
    photos : tuple of Photo
    layout : Layout
        Of these photos.
    coverage : Coverage or None
        Of those whose scale is known; None where they are too few.
    control_count : int
        Ground control points.
    """
    yield from _place_and_scale(photos, control_count)
    yield from _positions(photos, layout)
    yield from _altitudes(photos, control_count)
    if coverage is None:
        yield from _overlap_unknown(layout)
    else:
        yield from _overlap(photos, layout, coverage)
    yield from _rtk(photos, control_count)


def _place_and_scale(photos: tuple[Photo, ...], control_count: int) -> Iterator[Finding]:
    """Refuse what nothing places and scales; say so where control alone does."""
    count = sum(photo.position is not None for photo in photos)
    if count >= _LEAST_POSITIONS:
        return
    have = "No photo has a position"
    if count:
        have = f"Only {counted(count, 'photo has', 'photos have')} a position"
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
        f"Give at least {_LEAST_CONTROL} ground control points, better 5, or a position file.",
    )


def _positions(photos: tuple[Photo, ...], layout: Layout) -> Iterator[Finding]:
    missing = ~np.isfinite(layout.xy[:, 0])
    if missing.all():
        return
    if missing.any():
        yield Finding(
            "warn",
            "positions-missing",
            f"Without a position, and paired by likeness: {missing.sum()} of {len(photos)} photos.",
            "Nothing to do if the others cover the site.",
            names_of(photos, missing),
        )
    if layout.wild.any():
        yield Finding(
            "warn",
            "positions-wild",
            f"{counted(int(layout.wild.sum()), 'photo has', 'photos have')} a position far away"
            " from all others; it is not used to find neighbours.",
            "Remove photos that belong to another site.",
            names_of(photos, layout.wild),
        )
    yield from _same_place(photos, layout)


def _altitudes(photos: tuple[Photo, ...], control_count: int) -> Iterator[Finding]:
    positions = [photo.position for photo in photos if photo.position]
    if control_count >= _LEAST_CONTROL or len(positions) < _LEAST_POSITIONS:
        return
    if all(position.altitude_m is None for position in positions):
        yield Finding(
            "warn",
            "altitudes-missing",
            "No photo has an altitude: elevations count from an arbitrary level, and nothing says"
            " how far that is from any datum. Volumes do not depend on it.",
            "Do not compare elevations with other surveys, or give ground control points.",
        )


def _same_place(photos: tuple[Photo, ...], layout: Layout) -> Iterator[Finding]:
    height_m = layout.median_height_m or 0.0
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
            " file.",
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


def _overlap(photos: tuple[Photo, ...], layout: Layout, coverage: Coverage) -> Iterator[Finding]:
    known = layout.scaled
    generous = measure_coverage(layout, known, _REFUSED_OVERLAP, _DEEPER_GROUND)
    share = float(np.median(coverage.best_overlap))
    # Where other photos may still link what is known, nothing is refused.
    if np.sum(generous.group == 0) < LEAST_PHOTOS and len(known) == len(photos):
        yield Finding(
            "refuse",
            "no-overlap",
            f"No {LEAST_PHOTOS} photos overlap: neighbours have {share:.0%} of their ground in"
            f" common at {layout.median_height_m:.0f} m above ground.",
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
            f"{counted(int(apart.sum()), 'photo does', 'photos do')} not overlap with the main"
            f" group of {(~apart).sum()}, and may be lost.",
            "Fly the gap again, or process the parts one by one.",
            names_of(photos, known[apart]),
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
            f"Without a fixed RTK solution: {len(loose)} of {len(measured)} positions.",
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
            "The positions are good to metres: without control points elevations are no better,"
            " and volumes to some per cent.",
            "Five ground control points around the site, or RTK, make volumes accurate; many photos"
            " over a wide area in strips to and fro help.",
        )
    if len(datums) > 1:
        shown = ", ".join(f"{count} {datum}" for datum, count in datums.most_common())
        yield Finding(
            "warn",
            "altitudes-mixed",
            f"The altitudes are not of one kind ({shown}).",
            "Give one vertical datum with a position file.",
        )
