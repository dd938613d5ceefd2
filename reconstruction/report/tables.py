"""The tables of the report: points, cameras, photos, processing and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconstruction.report.facts import Facts, number
from reconstruction.report.text import centimetres, duration, file_size

_LENS = ("focal_px", "cx_px", "cy_px", "k1", "k2", "k3", "p1", "p2")
_LENS_NAMES = {
    "focal_px": "focal length, px",
    "cx_px": "principal point x, px",
    "cy_px": "principal point y, px",
}


@dataclass(frozen=True)
class Table:
    """Head and rows of plain text; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def point_table(points: list[dict[str, Any]], key: str) -> Table:
    """Residuals of points, and their root mean square below."""
    values = [point[key] for point in points]
    rows = [(point["name"], *_residual(value)) for point, value in zip(points, values, strict=True)]
    if values:
        squares = [sum(value[axis] ** 2 for value in values) / len(values) for axis in range(3)]
        plan, whole = squares[0] + squares[1], sum(squares)
        roots = [centimetres(square**0.5) for square in (*squares, plan, whole)]
        rows.append(("RMS", *roots))
    return Table(("Point", "East", "North", "Up", "In plan", "In space"), tuple(rows))


def _residual(value: list[float]) -> tuple[str, ...]:
    east, north, up = value
    plan = (east**2 + north**2) ** 0.5
    return (
        *(centimetres(part) for part in value),
        centimetres(plan),
        centimetres((plan**2 + up**2) ** 0.5),
    )


def camera_tables(facts: Facts) -> list[tuple[str, Table]]:
    """Lens parameters of each camera with their sigmas."""
    tables = []
    for name, values in (facts.accuracy.get("cameras") or {}).items():
        rows = []
        for key in _LENS:
            value, sigma = number(values, key), number(values, f"{key}_sigma")
            if value is not None:
                rows.append((_LENS_NAMES.get(key, key), *_with_sigma(key, value, sigma)))
        tables.append((name, Table(("Parameter", "Value", "1 sigma"), tuple(rows))))
    return tables


def _with_sigma(key: str, value: float, sigma: float | None) -> tuple[str, str]:
    decimals = 2 if key.endswith("_px") else 6
    shown = f"{value:.{decimals}f}".replace("-", "−")
    return shown, "not known" if sigma is None else f"{sigma:.{decimals}f}"


def photo_table(facts: Facts) -> Table:
    """One row a photo: registered or not, tie points, residual, what was measured how well."""
    places = {photo.name: photo for photo in facts.photos}
    rows = []
    for image in facts.accuracy.get("images") or []:
        residual = image.get("position_residual_m") or (None, None, None)
        place = places.get(image["name"])
        plan = place.horizontal_sigma_m if place else None
        height = place.vertical_sigma_m if place else None
        rows.append(
            (
                image["name"],
                "yes" if image["registered"] else "no",
                f"{image['tie_points']:,}",
                *(centimetres(value) for value in residual),
                centimetres(plan),
                centimetres(height),
                (place.source if place else "") or "–",
            )
        )
    head = ("Photo", "Placed", "Tie points", "East", "North", "Up", "± plan", "± height", "Source")
    return Table(head, tuple(rows))


@dataclass(frozen=True)
class StageTime:
    """How long a stage took, and its part of the longest one (None for the sum of all)."""

    name: str
    wall: str
    cpu: str
    part: float | None


def stage_times(facts: Facts) -> list[StageTime]:
    """All stages and their sum."""
    stages = facts.survey.get("stages") or []
    if not stages:
        return []
    longest = max(stage["seconds"] for stage in stages) or 1.0
    times = [
        StageTime(
            stage["stage"].replace("_", " "),
            duration(stage["seconds"]),
            duration(stage["cpu_seconds"]),
            stage["seconds"] / longest,
        )
        for stage in stages
    ]
    wall = sum(stage["seconds"] for stage in stages)
    cpu = sum(stage["cpu_seconds"] for stage in stages)
    return [*times, StageTime("all", duration(wall), duration(cpu), None)]


def product_tables(facts: Facts) -> tuple[Table, Table]:
    """The products by themselves, and the files inside folders."""
    head = ("File", "Size", "SHA-256")
    products = facts.survey.get("products") or []
    rows = [(item["path"], file_size(item["size_bytes"]), item["sha256"]) for item in products]
    top = [row for row in rows if "/" not in row[0]]
    inner = [row for row in rows if "/" in row[0]]
    for folder in sorted({row[0].split("/")[0] for row in inner}):
        inside = [item for item in products if item["path"].startswith(f"{folder}/")]
        size = file_size(sum(item["size_bytes"] for item in inside))
        top.append((f"{folder}/", size, f"{len(inside):,} files, listed below"))
    return Table(head, tuple(top)), Table(head, tuple(inner))


def settings(facts: Facts) -> list[tuple[str, str]]:
    """Options, software versions, and who wrote the point cloud."""
    options = [
        (f"option: {name}", "automatic" if value is None else str(value))
        for name, value in (facts.survey.get("options") or {}).items()
    ]
    software = [(name, str(value)) for name, value in (facts.survey.get("software") or {}).items()]
    cloud = facts.survey.get("point_cloud")
    if cloud:
        left_out = f"{cloud['count']:,} points, {cloud['outlier_count']:,} outliers left out"
        software.append(("point cloud", f"{cloud['written_by']}: {left_out}"))
    return [*options, *software]
