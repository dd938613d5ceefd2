"""The two real flights, where they are there: what was registered, and how well it fits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import laspy
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from bench.alignment import Pictured, Similarity, Surface, align
from bench.comparison import read_volumes
from bench.programs import ROOT, Usage, run

DATA = ROOT.parent / "shared" / "data"
_FLIGHTS = ("brighton_beach", "caliterra")
_PILES = ROOT / "bench" / "brighton_beach.geojson"
_CELL_M = 0.10
_BOWL_M = 30.0

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
    """Heights and volumes beside those of a reference cloud, after alignment.

    Photos from straight above at one height hardly hold the bending of a block, so it is told
    beside the rest, and everything once more without it.
    """
    gsd_m = json.loads((survey / "survey.json").read_text(encoding="utf-8"))["gsd_m"]
    cloud = laspy.read(reference)
    crs = cloud.header.parse_crs().to_wkt()
    grid, ours = _of_cloud(cloud), _of_survey(survey)
    similarity, count = align(grid, ours)
    seen = _seen_from(grid.surface, similarity, ours.surface)
    difference = seen.elevation_m - grid.surface.elevation_m
    bend, bowl_m = _bending(difference, grid.surface.cell_m)
    print(
        f"  reference cloud: laid on {count} places that both show; scaled by "
        f"{similarity.scale - 1.0:+.2%}; NMAD {_gsd(difference, gsd_m)}, without the bending "
        f"{_gsd(difference - bend, gsd_m)}; bending {bowl_m:+.2f} m at {_BOWL_M:.0f} m from the "
        f"middle (the survey's less the reference's)"
    )
    _print_sigma(survey)
    folder.mkdir(parents=True, exist_ok=True)
    theirs = _volumes(folder / "reference.tif", grid.surface, crs)
    for name, surface in (
        ("survey.tif", seen),
        ("survey_unbent.tif", replace(seen, elevation_m=seen.elevation_m - bend)),
    ):
        for pile, row in _volumes(folder / name, surface, crs).items():
            mine, other = float(row["net_m3"]), float(theirs[pile]["net_m3"])
            print(
                f"  {name}: {pile}: {mine:.2f} ± {float(row['net_u95_m3']):.2f} m³, "
                f"reference {other:.2f} m³ ({mine / other - 1.0:+.2%})"
            )


def _print_sigma(survey: Path) -> None:
    """What the adjustment itself says of the bending that it leaves open."""
    accuracy = json.loads((survey / "accuracy.json").read_text(encoding="utf-8"))
    for spot in accuracy["block_deformation"]:
        print(
            f"  by the adjustment a spot of {spot['range_m']:.0f} m is {spot['sigma_m']:.3f} m "
            "(1 sigma) higher or lower than the plane around it"
        )


def _of_survey(survey: Path) -> Pictured:
    with rasterio.open(survey / "dsm.tif") as source:
        heights = source.read(1, masked=True).astype(float).filled(np.nan)
        surface = Surface(source.bounds.left, source.bounds.top, source.res[0], heights)
    with rasterio.open(survey / "orthomosaic.tif") as source:
        shape = [int(size * source.res[0] / _CELL_M) for size in (source.height, source.width)]
        colors = source.read([1, 2, 3], out_shape=(3, *shape), resampling=Resampling.average)
        bounds = source.bounds
    cell_m = (bounds.right - bounds.left) / shape[1]
    return Pictured(surface, _grey(colors), bounds.left, bounds.top, cell_m)


def _of_cloud(cloud: laspy.LasData) -> Pictured:
    """Mean elevation and colour of the points of each cell."""
    x, y = np.asarray(cloud.x), np.asarray(cloud.y)
    west, north = float(x.min()), float(y.max())
    columns, rows = ((x - west) / _CELL_M).astype(int), ((north - y) / _CELL_M).astype(int)
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    index = np.ravel_multi_index((rows, columns), shape)
    count = np.bincount(index, minlength=shape[0] * shape[1])

    def mean(values: Array) -> Array:
        with np.errstate(invalid="ignore"):
            total = np.bincount(index, values, minlength=len(count))
            return np.asarray((total / count).reshape(shape))

    colors = np.stack([mean(np.asarray(cloud[name], float)) for name in ("red", "green", "blue")])
    colors *= 255.0 / max(255.0, float(np.nanmax(colors)))
    surface = Surface(west, north, _CELL_M, mean(np.asarray(cloud.z)))
    return Pictured(surface, _grey(np.nan_to_num(colors)), west, north, _CELL_M)


def _grey(colors: NDArray[Any]) -> NDArray[np.uint8]:
    """Of bands (3, rows, cols)."""
    return np.asarray(cv2.cvtColor(np.stack(colors, -1).astype(np.uint8), cv2.COLOR_RGB2GRAY))


def _seen_from(grid: Surface, similarity: Similarity, surface: Surface) -> Surface:
    """Our surface on the reference's grid: each reference cell, moved, meets it at some height."""
    rows, columns = np.nonzero(np.isfinite(grid.elevation_m))
    heights = grid.elevation_m[rows, columns]
    x = grid.west + (columns + 0.5) * grid.cell_m
    y = grid.north - (rows + 0.5) * grid.cell_m
    moved = similarity.apply(np.column_stack((x, y, heights)))
    ours = np.full_like(grid.elevation_m, np.nan)
    ours[rows, columns] = heights + (surface.at(moved[:, :2]) - moved[:, 2]) / similarity.scale
    return replace(grid, elevation_m=ours)


def _bending(difference_m: Array, cell_m: float) -> tuple[Array, float]:
    """What a polynomial of second order explains of differences, robustly, and its mean rise."""
    rows, columns = np.nonzero(np.isfinite(difference_m))
    values = difference_m[rows, columns]
    place = np.column_stack((columns, rows)) * cell_m
    middle = place.mean(axis=0)
    weights = np.ones(len(values))
    design = _second_order((place - middle) / _BOWL_M)
    for _ in range(10):
        fit = np.linalg.lstsq(design * weights[:, None], values * weights, rcond=None)[0]
        left = values - design @ fit
        weights = np.clip(1.0 - (left / (4.685 * _nmad(left))) ** 2, 0.0, None)
    bend = np.full_like(difference_m, np.nan)
    bend[rows, columns] = design @ fit
    return bend, float(0.5 * (fit[3] + fit[5]))


def _second_order(place: Array) -> Array:
    x, y = place.T
    return np.column_stack((np.ones_like(x), x, y, x * x, x * y, y * y))


def _gsd(difference_m: Array, gsd_m: float) -> str:
    nmad = _nmad(difference_m[np.isfinite(difference_m)])
    return f"{nmad:.3f} m = {nmad / gsd_m:.2f} GSD"


def _volumes(path: Path, surface: Surface, crs: str) -> dict[str, dict[str, str]]:
    """Of the outlined piles on a surface; empty when they are refused."""
    _write(path, surface, crs)
    out = path.with_suffix("")
    usage = run("volumetrics", path, _PILES, "--out", out, is_quiet=True)
    if usage.exit_code:
        print(f"  volumetrics refused {path.name}: exit code {usage.exit_code}")
        return {}
    return read_volumes(out / "volumes.csv")


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
