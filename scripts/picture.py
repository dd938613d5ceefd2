"""The picture of the README: orthomosaic and shaded surface of a survey, with piles and volumes.

make picture
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.windows import Window, from_bounds

from bench.programs import FLIGHTS, ROOT

_WIDTH_PX, _GAP_PX = 800, 8
_MARGIN_M = 7.0
_LABEL_PX = (120, 44)
_LINE = (255, 214, 0)
_PAPER = (244, 244, 240)
_LIGHTS_DEG = ((315.0, 45.0, 0.6), (255.0, 40.0, 0.2), (15.0, 40.0, 0.2))
_JPEG_QUALITY = 84

Bounds = tuple[float, float, float, float]
Label = tuple[NDArray[np.float64], str]


def main() -> int:
    """Draw the picture; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.picture", description=__doc__)
    demo = ROOT / "build" / "demo"
    parser.add_argument("--survey", type=Path, default=demo / "survey")
    parser.add_argument("--piles", type=Path, default=FLIGHTS / "week0" / "piles.geojson")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "demo.jpg")
    chosen = parser.parse_args()
    volumes = chosen.survey / "volumes" / "volumes.csv"
    if not volumes.exists():
        print(f"There is no {volumes}: run 'make demo' first.")
        return 2
    piles = json.loads(chosen.piles.read_text(encoding="utf-8"))["features"]
    with volumes.open(newline="", encoding="utf-8") as file:
        rows = {row["pile"]: row for row in csv.DictReader(file)}
    bounds = _around(piles)
    ortho, surface = _orthomosaic(chosen.survey, bounds), _shaded(chosen.survey, bounds)
    for picture in (ortho, surface):
        _draw(picture, piles, bounds, rows if picture is surface else {})
    whole = Image.new("RGB", (2 * _WIDTH_PX + _GAP_PX, ortho.height), (255, 255, 255))
    whole.paste(ortho, (0, 0))
    whole.paste(surface, (_WIDTH_PX + _GAP_PX, 0))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    whole.save(chosen.out, quality=_JPEG_QUALITY, optimize=True, progressive=True)
    print(f"{chosen.out} ({chosen.out.stat().st_size / 1000:.0f} kB)")
    return 0


def _around(piles: list[dict[str, Any]]) -> Bounds:
    """Bounds of all piles with a margin."""
    corners = np.concatenate([_ring(pile) for pile in piles])
    west, south = corners.min(axis=0) - _MARGIN_M
    east, north = corners.max(axis=0) + _MARGIN_M
    return float(west), float(south), float(east), float(north)


def _ring(pile: dict[str, Any]) -> NDArray[np.float64]:
    return np.array(pile["geometry"]["coordinates"][0], dtype=float)[:, :2]


def _shape(bounds: Bounds) -> tuple[int, int]:
    west, south, east, north = bounds
    return round(_WIDTH_PX * (north - south) / (east - west)), _WIDTH_PX


def _window(source: rasterio.DatasetReader, bounds: Bounds) -> Window:
    return from_bounds(*bounds, transform=source.transform)


def _orthomosaic(survey: Path, bounds: Bounds) -> Image.Image:
    with rasterio.open(survey / "orthomosaic.tif") as source:
        colours = source.read(
            window=_window(source, bounds),
            out_shape=(4, *_shape(bounds)),
            boundless=True,
            fill_value=0,
            resampling=rasterio.enums.Resampling.average,
        )
    picture = np.where(colours[3] > 0, colours[:3], np.array(_PAPER)[:, None, None])
    return Image.fromarray(np.moveaxis(picture, 0, 2).astype(np.uint8))


def _shaded(survey: Path, bounds: Bounds) -> Image.Image:
    """The surface in three lights, tinted by height; holes stay paper."""
    with rasterio.open(survey / "dsm.tif") as source:
        heights = source.read(
            1,
            window=_window(source, bounds),
            out_shape=_shape(bounds),
            boundless=True,
            masked=True,
            resampling=rasterio.enums.Resampling.average,
        ).filled(np.nan)
    cell_m = (bounds[2] - bounds[0]) / _WIDTH_PX
    down, right = np.gradient(heights, cell_m)
    normal = np.stack((-right, down, np.ones_like(right)))
    normal /= np.linalg.norm(normal, axis=0)
    light = sum(
        share * np.clip(np.tensordot(_towards(azimuth, altitude), normal, 1), 0.0, 1.0)
        for azimuth, altitude, share in _LIGHTS_DEG
    )
    low, high = np.nanpercentile(heights, (2.0, 98.0))
    level = np.clip((heights - low) / (high - low), 0.0, 1.0)[..., None]
    tint = (1.0 - level) * np.array((176, 190, 190)) + level * np.array((240, 214, 170))
    picture = np.clip(tint * (0.25 + 1.05 * np.asarray(light)[..., None]), 0, 255)
    return Image.fromarray(np.where(np.isfinite(picture), picture, _PAPER).astype(np.uint8))


def _towards(azimuth_deg: float, altitude_deg: float) -> NDArray[np.float64]:
    """Unit vector (east, north, up) towards a light."""
    azimuth, altitude = np.radians((azimuth_deg, altitude_deg))
    level = np.cos(altitude)
    return np.array([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(altitude)])


def _draw(
    picture: Image.Image,
    piles: list[dict[str, Any]],
    bounds: Bounds,
    rows: dict[str, dict[str, str]],
) -> None:
    """Outlines of the piles, and what is known of their volumes."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)
    scale = picture.width / (bounds[2] - bounds[0])
    labels = []
    for pile in piles:
        ring = (_ring(pile) - (bounds[0], bounds[3])) * (scale, -scale)
        draw.line([(float(x), float(y)) for x, y in ring], fill=_LINE, width=3, joint="curve")
        row = rows.get(pile["properties"]["name"])
        if row:
            labels.append(((ring.min(axis=0) + ring.max(axis=0)) / 2.0, _text(row)))
    for centre, text in _apart(labels):
        draw.multiline_text(
            (float(centre[0]), float(centre[1])),
            text,
            font=font,
            anchor="mm",
            align="center",
            fill=(20, 20, 20),
            stroke_width=3,
            stroke_fill=(255, 255, 255),
        )


def _apart(labels: list[Label]) -> list[Label]:
    """Labels from top to bottom, moved up and down until no two lie on each other."""
    labels = sorted(labels, key=lambda label: float(label[0][1]))
    for _ in range(20):
        for index, (upper, _) in enumerate(labels):
            for lower, _ in labels[index + 1 :]:
                across, down = np.abs(lower - upper)
                if across < _LABEL_PX[0] and down < _LABEL_PX[1]:
                    step = (_LABEL_PX[1] - down) / 2.0
                    upper -= (0.0, step)
                    lower += (0.0, step)
    return labels


def _text(row: dict[str, str]) -> str:
    if not row["net_m3"]:
        return f"{row['pile']}\nrefused"
    return f"{row['pile']}\n{float(row['net_m3']):.1f} ± {float(row['net_u95_m3']):.1f}"


if __name__ == "__main__":
    sys.exit(main())
