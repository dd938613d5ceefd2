"""What the lens model leaves over: mean reprojection error by place in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.camera import Camera
from reconstruction.report.canvas import INK, WIDTH, Canvas
from reconstruction.report.facts import Facts
from reconstruction.report.text import nice, significant

Array = NDArray[np.float64]
Parts: TypeAlias = tuple[str, Markup | None, str]

_MOST_CAMERAS = 3
_CELLS = 14
_LEAST_POINTS = 5
_WILD_PX = 4.0
_ARROW_PX = 24.0
_PRINCIPAL = "#b4652a"


def lens_figure_parts(facts: Facts) -> Iterator[Parts]:
    """Title, drawing and text of a figure for each camera, those with most photos first."""
    if facts.block is None:
        yield (
            "Lens",
            None,
            "Not known: the working folder with the tie points is gone.",
        )
        return
    block = facts.block
    used = [shot.camera for shot in block.shots]
    names = sorted(block.cameras, key=used.count, reverse=True)
    for name in names[:_MOST_CAMERAS]:
        yield _figure(block, block.cameras[name], len(names))


def _figure(block: Block, camera: Camera, camera_count: int) -> Parts:
    pixels, errors = _reprojection_errors(block, camera.name)
    title = "Lens" if camera_count == 1 else f"Lens of {camera.name}"
    columns = _CELLS
    rows = max(2, round(columns * camera.height_px / camera.width_px))
    size = np.array([camera.width_px / columns, camera.height_px / rows])
    cell = np.clip((pixels // size).astype(int), 0, (columns - 1, rows - 1))
    key = cell[:, 1] * columns + cell[:, 0]
    number = np.bincount(key, minlength=columns * rows)
    mean = (
        np.column_stack([np.bincount(key, errors[:, axis], columns * rows) for axis in (0, 1)])
        / np.maximum(number, 1)[:, None]
    )
    known = number >= _LEAST_POINTS
    if not known.any():
        return title, None, "Not known: there are too few tie points."
    lengths = np.linalg.norm(mean[known], axis=1)
    scale = WIDTH / camera.width_px
    times = nice(max(1.0, _ARROW_PX / (scale * max(float(np.quantile(lengths, 0.9)), 1e-6))))
    canvas = Canvas(WIDTH, scale * camera.height_px, "Mean reprojection error over the picture")
    canvas.add(
        "rect", x=1, y=1, width=WIDTH - 2, height=scale * camera.height_px - 2, fill="#fbfaf7",
        stroke="#c9c4b8",
    )  # fmt: skip
    _draw_principal_point(canvas, camera, scale)
    for index in np.flatnonzero(known):
        middle = (np.array([index % columns, index // columns]) + 0.5) * size * scale
        head = middle + times * scale * mean[index]
        canvas.arrow((middle[0], middle[1]), (head[0], head[1]), INK, 1.4)
    off = np.array([camera.cx_px, camera.cy_px]) - (
        0.5 * (camera.width_px - 1),
        0.5 * (camera.height_px - 1),
    )
    return (
        title,
        canvas.markup,
        "What the lens model does not explain: the mean reprojection error of the tie points in"
        f" each part of the picture, drawn {times:,.0f} times too long; its root mean square is"
        f" {significant(float(np.sqrt(np.mean(lengths**2))))}\u00a0px. A pattern would be a fault;"
        " disorder is noise. The principal point (brown cross) lies"
        f" {significant(float(np.hypot(*off)))}\u00a0px from the middle.",
    )


def _reprojection_errors(block: Block, name: str) -> tuple[Array, Array]:
    """Pixels of a camera's tie points, and observed less computed ones, each of shape (n, 2)."""
    ties = block.tie_points
    camera = block.cameras[name]
    pixels, errors = [np.empty((0, 2))], [np.empty((0, 2))]
    for index, shot in enumerate(block.shots):
        if shot.camera != name:
            continue
        mine = ties.shot_index == index
        points = shot.to_camera(ties.points[ties.point_index[mine]])
        ahead = points[:, 2] > 0.0
        seen = ties.pixels[mine][ahead]
        error = seen - camera.project(points[ahead])
        fair = np.linalg.norm(error, axis=1) < _WILD_PX
        pixels.append(seen[fair])
        errors.append(error[fair])
    return np.concatenate(pixels), np.concatenate(errors)


def _draw_principal_point(canvas: Canvas, camera: Camera, scale: float) -> None:
    x, y = scale * (camera.cx_px + 0.5), scale * (camera.cy_px + 0.5)
    canvas.line(((x - 9, y), (x + 9, y)), _PRINCIPAL, 2.0)
    canvas.line(((x, y - 9), (x, y + 9)), _PRINCIPAL, 2.0)
