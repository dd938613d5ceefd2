"""The two real flights, where they are there: what was registered, and how well it fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import laspy
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from bench.alignment import Similarity, Surface, align
from bench.comparison import read_volumes
from bench.programs import ROOT, Usage, run

DATA = ROOT.parent / "shared" / "data"
_FLIGHTS = ("brighton_beach", "caliterra")
_PILES = ROOT / "bench" / "brighton_beach.geojson"
_SAMPLE = 60_000
_CELL_M = 0.15

Array = NDArray[np.float64]


def measure_real_flights(folder: Path, quality: str) -> None:
    """Reconstruct both flights and print what came of them.

    Parameters
    ----------
    folder : Path
        For the surveys.
    quality : str
    """
    for name in _FLIGHTS:
        images = DATA / name / "images"
        if not images.is_dir():
            print(f"\n{name}: skipped, there is no {images}")
            continue
        survey = folder / f"{name}_{quality}"
        shutil.rmtree(survey, ignore_errors=True)
        usage = run("reconstruction", images, survey, "--quality", quality)
        if usage.exit_code:
            print(f"{name}: failed with exit code {usage.exit_code}")
            continue
        _print_facts(name, survey, usage)
        reference = DATA / name / "reference_odm.laz"
        if reference.exists():
            _compare(survey, reference, folder / f"{name}_{quality}_reference")


def _print_facts(name: str, survey: Path, usage: Usage) -> None:
    accuracy = json.loads((survey / "accuracy.json").read_text(encoding="utf-8"))
    facts = json.loads((survey / "survey.json").read_text(encoding="utf-8"))
    print(
        f"{name}: {accuracy['registered_count']} of {accuracy['image_count']} photos registered, "
        f"reprojection error {accuracy['reprojection_error_px']:.2f} px, "
        f"GSD {1000 * facts['gsd_m']:.0f} mm; {usage.seconds:.0f} s, "
        f"{usage.cpu_seconds / accuracy['image_count']:.1f} CPU-s a photo, "
        f"peak memory {usage.peak_mb:.0f} MB"
    )
    for note in facts["notes"]:
        print(f"  note: {note}")


def _compare(survey: Path, reference: Path, folder: Path) -> None:
    """Heights and volumes beside those of a reference cloud, after alignment."""
    gsd_m = json.loads((survey / "survey.json").read_text(encoding="utf-8"))["gsd_m"]
    surface = _read_surface(survey / "dsm.tif")
    cloud = laspy.read(reference)
    points = np.column_stack((cloud.x, cloud.y, cloud.z))
    sample = points[np.random.default_rng(1).permutation(len(points))[:_SAMPLE]]
    similarity, residuals = align(sample, surface)
    seen = np.isfinite(residuals)
    plain = _nmad(residuals[seen])
    bent = _nmad(residuals[seen] - _bowl(sample[seen], residuals[seen]))
    print(
        f"  reference cloud: moved by {np.round(similarity.values[:3], 2).tolist()} m, turned by "
        f"{np.degrees(np.linalg.norm(similarity.values[3:6])):.2f}°, scaled by "
        f"{similarity.values[6]:+.3%}; NMAD {plain:.4f} m = {plain / gsd_m:.2f} GSD, "
        f"without a bowl of second order {bent / gsd_m:.2f} GSD"
    )
    folder.mkdir(parents=True, exist_ok=True)
    reference_file, survey_file = folder / "reference.tif", folder / "survey.tif"
    grid = _gridded(points)
    _write(reference_file, grid, cloud.header.parse_crs().to_wkt())
    _write(survey_file, _seen_from(grid, similarity, surface), cloud.header.parse_crs().to_wkt())
    for file in (reference_file, survey_file):
        usage = run("volumetrics", file, _PILES, "--out", file.with_suffix(""), is_quiet=True)
        if usage.exit_code:
            print(f"  volumetrics refused {file.name}: exit code {usage.exit_code}")
            return
    ours, theirs = (
        read_volumes(file.with_suffix("") / "volumes.csv") for file in (survey_file, reference_file)
    )
    for name, row in ours.items():
        mine, other = float(row["net_m3"]), float(theirs[name]["net_m3"])
        print(
            f"  {name}: {mine:.2f} ± {float(row['net_u95_m3']):.2f} m³, "
            f"reference {other:.2f} m³ ({mine / other - 1.0:+.2%})"
        )


def _read_surface(path: Path) -> Surface:
    with rasterio.open(path) as source:
        heights = source.read(1, masked=True).astype(float).filled(np.nan)
        return Surface(source.bounds.left, source.bounds.top, source.res[0], heights)


def _bowl(points: Array, residuals: Array) -> Array:
    """What a polynomial of second order in x and y explains of residuals, robustly."""
    x, y = ((points[:, :2] - points[:, :2].mean(axis=0)) / 50.0).T
    design = np.column_stack((np.ones_like(x), x, y, x * x, x * y, y * y))
    weights = np.ones_like(x)
    for _ in range(10):
        fit = np.linalg.lstsq(design * weights[:, None], residuals * weights, rcond=None)[0]
        left = residuals - design @ fit
        weights = np.clip(1.0 - (left / (4.685 * _nmad(left))) ** 2, 0.0, None)
    explained: Array = design @ fit
    return explained


def _gridded(points: Array) -> Surface:
    """Mean elevation of the points of each cell."""
    west, north = points[:, 0].min(), points[:, 1].max()
    columns = ((points[:, 0] - west) / _CELL_M).astype(int)
    rows = ((north - points[:, 1]) / _CELL_M).astype(int)
    shape = (rows.max() + 1, columns.max() + 1)
    index = np.ravel_multi_index((rows, columns), shape)
    count = np.bincount(index, minlength=shape[0] * shape[1])
    total = np.bincount(index, points[:, 2], minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        return Surface(west, north, _CELL_M, (total / count).reshape(shape))


def _seen_from(grid: Surface, similarity: Similarity, surface: Surface) -> Surface:
    """Our surface on the reference's grid: each reference cell, moved, meets it at some height."""
    rows, columns = np.nonzero(np.isfinite(grid.elevation_m))
    heights = grid.elevation_m[rows, columns]
    x = grid.west + (columns + 0.5) * grid.cell_m
    y = grid.north - (rows + 0.5) * grid.cell_m
    moved = similarity.apply(np.column_stack((x, y, heights)))
    ours = np.full_like(grid.elevation_m, np.nan)
    ours[rows, columns] = heights + (surface.at(moved[:, :2]) - moved[:, 2]) / (
        1.0 + similarity.values[6]
    )
    return Surface(grid.west, grid.north, grid.cell_m, ours)


def _write(path: Path, surface: Surface, crs: str) -> None:
    rows, columns = surface.elevation_m.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32", crs=crs,
        nodata=-9999.0,
        transform=from_origin(surface.west, surface.north, surface.cell_m, surface.cell_m),
    ) as target:  # fmt: skip
        target.write(np.nan_to_num(surface.elevation_m, nan=-9999.0).astype(np.float32), 1)


def _nmad(values: Array) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
