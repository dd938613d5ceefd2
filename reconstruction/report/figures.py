"""The pictures of the report: what each shows, how to read it, and its legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reconstruction.report import pictures
from reconstruction.report.canvas import INK, MapCanvas, frame_around
from reconstruction.report.facts import Facts, PhotoPlace
from reconstruction.report.lens import lens_figure_parts
from reconstruction.report.noise_chart import noise_chart
from reconstruction.report.text import length, nice
from reconstruction.wording import counted

Array = NDArray[np.float64]

PLACED, MEASURED, LOST, CHECK = "#1f5a6d", "#8a949a", "#b3261e", "#b4652a"
# High is red, low is blue, as for temperatures.
_UP_DOWN = ("#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b")
_PHOTO_LIMITS = (2, 3, 5, 8, 12, 18)
_MATCH_LIMITS = (2, 3, 5, 8, 12, 20)
_ARROW_PX = 45.0


@dataclass(frozen=True)
class Ramp:
    """A legend of colours that flow into each other."""

    title: str
    colours: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Marks:
    """A legend of single marks: shape, colour, what it stands for."""

    items: tuple[tuple[str, str, str], ...]
    title: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture and its words.

    Parameters
    ----------
    title : str
    drawing : Markup or None
        SVG; None where it could not be made, and the text then says why.
    text : str
    legends : tuple of Ramp or Marks
    """

    title: str
    drawing: Markup | None
    text: str
    legends: tuple[Ramp | Marks, ...] = field(default=())


def figures(facts: Facts) -> list[Figure]:
    """All pictures of a survey, in the order of the page."""
    return [
        *_surface(facts.folder),
        *_cameras(facts),
        *_quality(facts),
        *_residuals(facts),
        *_instruments(facts),
    ]


def _surface(folder: Path) -> Iterator[Figure]:
    ortho, dsm = folder / "orthomosaic.tif", folder / "dsm.tif"
    if ortho.is_file():
        picture = pictures.orthomosaic(ortho)
        yield Figure(
            "Orthomosaic",
            _raster(picture, "Orthomosaic of the site"),
            "All photos, put upright onto the surface. White was not seen.",
        )
    else:
        yield _missing("Orthomosaic", "orthomosaic.tif is not in the folder.")
    if dsm.is_file():
        picture, levels_m = pictures.shaded_relief(dsm)
        yield Figure(
            "Surface",
            _raster(picture, "Surface model, shaded, with elevation colours"),
            "The surface model (DSM), lit from the north-west. White cells are holes: nothing was"
            " measured there and nothing is made up.",
            (
                Ramp(
                    "Elevation",
                    pictures.ELEVATION_COLOURS,
                    tuple(f"{level_m:.1f}\u00a0m" for level_m in levels_m),
                ),
            ),
        )
    else:
        yield _missing("Surface", "dsm.tif is not in the folder.")


def _cameras(facts: Facts) -> Iterator[Figure]:
    yield _camera_map(facts)
    yield _overlap(facts)


def _residuals(facts: Facts) -> Iterator[Figure]:
    yield _position_residuals(facts)
    if facts.accuracy.get("control_points") or facts.accuracy.get("check_points"):
        yield _point_residuals(facts)


def _quality(facts: Facts) -> Iterator[Figure]:
    path = facts.folder / "dsm_quality.tif"
    if not path.is_file():
        yield _missing("Matches and their spread", "dsm_quality.tif is not in the folder.")
        return
    grid, bands = pictures.read_small(path, 560)
    picture = pictures.counts(bands[0], grid.bounds, _MATCH_LIMITS)
    yield Figure(
        "Measurements per cell",
        _raster(picture, "Number of matches that each cell of the surface rests on"),
        "How many independent matches between photos agree on the elevation of each cell.",
        (_classes("Matches", _MATCH_LIMITS),),
    )
    spread = pictures.spread(path)
    if spread is None:
        yield _missing("Spread", "No cell was measured more than once.")
        return
    picture, top_m = spread
    yield Figure(
        "Spread of the measurements",
        _raster(picture, "Spread of the matches of each cell"),
        "One standard deviation of a cell's matches. Steep faces, plants and things that moved"
        " stand out.",
        (
            Ramp(
                "Spread",
                pictures.SPREAD_COLOURS,
                ("0", length(0.5 * top_m), f"{length(top_m)} and more"),
            ),
        ),
    )


def _instruments(facts: Facts) -> Iterator[Figure]:
    yield from (Figure(*parts) for parts in lens_figure_parts(facts))
    drawing, text = noise_chart(facts.accuracy.get("dsm_noise"))
    yield Figure("Noise of the surface", drawing, text)


def _missing(title: str, why: str) -> Figure:
    return Figure(title, None, f"Not known: {why}")


def _raster(picture: pictures.Picture, title: str) -> Markup:
    canvas = MapCanvas(picture.bounds, title)
    canvas.picture(picture)
    return canvas.finish()


def _classes(title: str, limits: tuple[int, ...]) -> Marks:
    starts = (1, *limits)
    ends = (*(limit - 1 for limit in limits), None)
    labels = [
        f"{start}+" if end is None else str(start) if start == end else f"{start}–{end}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return Marks(
        tuple(
            ("square", colour, label)
            for colour, label in zip(pictures.COUNT_COLOURS, labels, strict=True)
        ),
        title,
    )


def _site_map(facts: Facts, places: Sequence[tuple[float, float]], title: str) -> MapCanvas:
    """A map on the pale relief of the site."""
    bounds = tuple(facts.survey["bounds"])
    canvas = MapCanvas(frame_around((bounds[0], bounds[1], bounds[2], bounds[3]), places), title)
    dsm = facts.folder / "dsm.tif"
    if dsm.is_file():
        canvas.picture(pictures.faint_relief(dsm))
    return canvas


def _camera_map(facts: Facts) -> Figure:
    places = [
        place for photo in facts.photos for place in (photo.adjusted, photo.measured) if place
    ]
    if not places:
        return _missing("Cameras", "no photo has a place.")
    canvas = _site_map(facts, places, "Where the photos were taken")
    in_order, order = _flight_order(facts.photos)
    canvas.line(
        [canvas.at(*photo.adjusted) for photo in in_order if photo.adjusted],
        PLACED,
        1.0,
        stroke_opacity="0.45",
    )
    beyond = 0
    for photo in facts.photos:
        place = photo.adjusted or photo.measured
        if place is None or not canvas.shows(*place):
            beyond += 1
            continue
        _draw_photo(canvas, photo)
    if in_order and in_order[0].adjusted:
        x, y = canvas.at(*in_order[0].adjusted)
        canvas.label((x, y - 9.0), "first", "middle", font_weight="600")
    text = f"The thin line joins the photos {order}. A stroke shows where an oblique photo looks."
    if beyond:
        text += f" {counted(beyond, 'photo lies', 'photos lie')} beyond this map or nowhere known."
    return Figure(
        "Cameras",
        canvas.finish(),
        text,
        (
            Marks(
                (
                    ("dot", PLACED, "adjusted"),
                    ("ring", MEASURED, "measured"),
                    ("cross", LOST, "not placed"),
                )
            ),
        ),
    )


def _flight_order(photos: Sequence[PhotoPlace]) -> tuple[list[PhotoPlace], str]:
    placed = [photo for photo in photos if photo.adjusted]
    if placed and all(photo.captured_at for photo in placed):
        return sorted(placed, key=lambda photo: photo.captured_at or ""), "in the order of capture"
    return placed, "in the order of their names"


def _draw_photo(canvas: MapCanvas, photo: PhotoPlace) -> None:
    if photo.measured and canvas.shows(*photo.measured):
        x, y = canvas.at(*photo.measured)
        if photo.registered:
            canvas.add("circle", cx=x, cy=y, r=5.5, fill="none", stroke=MEASURED, stroke_width=1.2)
        else:
            canvas.line(((x - 5, y - 5), (x + 5, y + 5)), LOST, 2.2)
            canvas.line(((x - 5, y + 5), (x + 5, y - 5)), LOST, 2.2)
    if photo.adjusted and photo.registered:
        x, y = canvas.at(*photo.adjusted)
        if photo.looks_along and np.hypot(*photo.looks_along[:2]) > 0.26:
            east, north, _ = photo.looks_along
            canvas.line(((x, y), (x + 26.0 * east, y - 26.0 * north)), PLACED, 1.8)
        canvas.add("circle", cx=x, cy=y, r=3.2, fill=PLACED)


def _overlap(facts: Facts) -> Figure:
    dsm = facts.folder / "dsm.tif"
    if facts.block is None or not dsm.is_file():
        return _missing(
            "Overlap", "the working folder with the camera models is gone, or dsm.tif is."
        )
    seen, bounds = pictures.photos_per_place(facts.block, dsm)
    canvas = MapCanvas(bounds, "Number of photos that see each place")
    canvas.picture(pictures.counts(seen, bounds, _PHOTO_LIMITS))
    return Figure(
        "Overlap",
        canvas.finish(),
        "How many placed photos have each place in their frame. Below 3 a surface is weak; below 2"
        " there is none.",
        (_classes("Photos", _PHOTO_LIMITS),),
    )


def _position_residuals(facts: Facts) -> Figure:
    title = "Residuals of the photo positions"
    at = {photo.name: photo.adjusted for photo in facts.photos}
    found = [
        (at[image["name"]], image["position_residual_m"])
        for image in facts.accuracy.get("images") or []
        if image.get("position_residual_m") and at.get(image["name"])
    ]
    if not found:
        return _missing(title, "no placed photo has a measured position.")
    places = [place for place, _ in found if place]
    canvas = _site_map(facts, places, title)
    residuals = np.array([residual for _, residual in found])
    text, legends = _arrows(canvas, places, residuals, dots=True)
    return Figure(
        title,
        canvas.finish(),
        "From the measured to the adjusted position, the common offset and drift taken out. "
        + text,
        legends,
    )


def _point_residuals(facts: Facts) -> Figure:
    title = "Residuals of control and check points"
    control = facts.accuracy.get("control_points") or []
    check = facts.accuracy.get("check_points") or []
    kinds = [(PLACED, point, point["residual_m"]) for point in control]
    kinds += [(CHECK, point, point["error_m"]) for point in check]
    drawn = [kind for kind in kinds if kind[1].get("coordinates")]
    if not drawn:
        return _missing(title, "accuracy.json does not say where the points are.")
    places = [tuple(point["coordinates"][:2]) for _, point, _ in drawn]
    canvas = _site_map(facts, places, title)
    residuals = np.array([residual for *_, residual in drawn])
    for (colour, point, _), place in zip(drawn, places, strict=True):
        x, y = canvas.at(*place)
        canvas.add("circle", cx=x, cy=y, r=4.5, fill="#fff", stroke=colour, stroke_width=2)
        canvas.label((x + 8.0, y + 15.0), point["name"], font_size=14.0)
    text, legends = _arrows(canvas, places, residuals, dots=False)
    kind = Marks((("ring", PLACED, "control point"), ("ring", CHECK, "check point")))
    return Figure(
        title,
        canvas.finish(),
        "From the surveyed to the photogrammetric place. " + text,
        (kind, *legends),
    )


def _arrows(
    canvas: MapCanvas, places: Sequence[tuple[float, ...]], residuals: Array, dots: bool
) -> tuple[str, tuple[Ramp, ...]]:
    """Draw horizontal residuals as arrows and vertical ones as colours; returns how to read it."""
    plan = np.linalg.norm(residuals[:, :2], axis=1)
    large = max(float(np.quantile(plan, 0.9)), 1e-4)
    times = nice(max(1.0, _ARROW_PX / (canvas.px_per_m * large)))
    high = max(float(np.quantile(np.abs(residuals[:, 2]), 0.95)), 1e-4)
    stops = np.linspace(-high, high, len(_UP_DOWN))
    for (easting, northing, *_), (east, north, up) in zip(places, residuals, strict=True):
        x, y = canvas.at(easting, northing)
        if dots:
            colour = _UP_DOWN[int(np.argmin(np.abs(stops - up)))]
            canvas.add("circle", cx=x, cy=y, r=5, fill=colour, stroke=INK, stroke_width=0.7)
        scale = times * canvas.px_per_m
        canvas.arrow((x, y), (x + scale * east, y - scale * north), INK)
    text = f"Arrows are drawn {times:,.0f} times too long; the longest is {length(plan.max())}."
    if not dots:
        return text, ()
    labels = (f"−{length(high)}", "0", f"+{length(high)}")
    return text, (Ramp("In height", _UP_DOWN, labels),)
