"""The point cloud by PDAL, where that is installed: filtered, merged and written by its pipelines.

The same rule as `outliers`, with balls instead of cubes around the points. PDAL's COPC writer holds
all points at once.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pyproj
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconstruction.copc import SCALE_M
from reconstruction.errors import Cancelled, OptionError, StageError
from reconstruction.outliers import spacing_m
from reconstruction.point_tile import DensePoints, PointTile, offset_of
from reconstruction.programs import ending, execute
from reconstruction.stage import Run

# Radius of the balls in mean point distances: some eighty points of a surface.
_NEIGHBOURHOOD = 5.0
_SAMPLES = 4000
_NOISE_CLASS = 7
_RUN_PIPELINE = "import pdal, sys; pdal.Pipeline(open(sys.argv[1]).read()).execute()"
_TELL_VERSION = "import pdal; print(pdal.info.version)"


@dataclass(frozen=True)
class Pdal:
    """An installed PDAL.

    Parameters
    ----------
    command : tuple of str
        Runs a pipeline whose file follows.
    version : str
    """

    command: tuple[str, ...]
    version: str


def find_pdal(program: str | None = None) -> Pdal | None:
    """The PDAL to use.

    Parameters
    ----------
    program : str or None
        PDAL's program; None takes the Python package ``pdal``, if it is installed.

    Returns
    -------
    Pdal or None
        None where there is neither.

    Raises
    ------
    OptionError
        When it does not work.
    """
    if program is not None:
        found = shutil.which(program) or program
        return Pdal((found, "pipeline"), _version([found, "--version"]))
    if importlib.util.find_spec("pdal") is None:
        return None
    version = _version([sys.executable, "-c", _TELL_VERSION])
    return Pdal((sys.executable, "-c", _RUN_PIPELINE), version)


def _version(command: list[str]) -> str:
    """The number among what a command says, ``pdal 2.8.4 (git-version: …)``."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return next(word for word in said.split() if word[0].isdigit())
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        told = getattr(error, "stderr", None) or str(error)
        raise OptionError(
            f"PDAL does not work: {told.strip() or 'it says no version'}",
            "Name a program that works (--pdal or PDAL_BIN), or remove the Python package 'pdal': "
            "the cloud is written without it, too.",
        ) from error


def write_cloud(
    tiles: tuple[PointTile, ...], epsg: int, sparse_share: float, path: Path, run: Run, pdal: Pdal
) -> int:
    """Write the points that are no outliers, as `bucket_cloud.write_cloud` does.

    Raises
    ------
    StageError
        PDAL fails, with what it said.
    """
    offset_m = offset_of(tiles)
    work = path.parent / "pdal"
    work.mkdir()

    def clean(tile: PointTile) -> Path:
        given, cleaned = work / f"{tile.path.stem}.las", work / f"{tile.path.stem}.clean.las"
        points = tile.load()
        _write_las(given, epsg, offset_m, points)
        reader = {"type": "readers.las", "filename": str(given)}
        writer = {"type": "writers.las", "filename": str(cleaned), "forward": "all"}
        filters = _filters(points.offsets, sparse_share)
        _execute(pdal, [reader, *filters, writer], given.with_suffix(".json"), partial(_heed, run))
        given.unlink()
        return cleaned

    cleaned = run.part(0.0, 0.7).map(clean, tiles, "PDAL takes outliers out of tile")
    counts = [_count(part) for part in cleaned]
    parts = [part for part, count in zip(cleaned, counts, strict=True) if count]
    if parts:
        readers = [
            {"type": "readers.las", "filename": str(part), "tag": f"tile_{number}"}
            for number, part in enumerate(parts)
        ]
        # Without it, the writer would write the views of the readers over each other.
        merge = {"type": "filters.merge", "inputs": [reader["tag"] for reader in readers]}
        writer = _copc_writer(path, epsg, offset_m)
        report = partial(run.progress, 0.7, "PDAL writes the cloud")
        _execute(pdal, [*readers, merge, writer], work / "write.json", report)
    shutil.rmtree(work)
    return sum(counts)


def _filters(offsets: NDArray[np.float32], sparse_share: float) -> list[dict[str, Any]]:
    """Stages that take out points with less than a share of the company that is usual."""
    if len(offsets) < 3 or sparse_share == 0.0:
        return []
    radius_m = _NEIGHBOURHOOD * spacing_m(offsets)
    samples = offsets[:: max(1, len(offsets) // _SAMPLES)]
    usual = np.median(cKDTree(offsets).query_ball_point(samples, radius_m, return_length=True))
    return [
        {
            "type": "filters.outlier",
            "method": "radius",
            "radius": radius_m,
            # PDAL keeps what has more than these, itself included.
            "min_k": max(math.ceil(sparse_share * usual) - 1, 0),
            "class": _NOISE_CLASS,
        },
        {"type": "filters.expression", "expression": f"Classification != {_NOISE_CLASS}"},
    ]


def _copc_writer(path: Path, epsg: int, offset_m: NDArray[np.float64]) -> dict[str, Any]:
    place = {f"offset_{axis}": float(value) for axis, value in zip("xyz", offset_m, strict=True)}
    scale = {f"scale_{axis}": SCALE_M for axis in "xyz"}
    return {
        "type": "writers.copc",
        "filename": str(path),
        "a_srs": f"EPSG:{epsg}",
        **place,
        **scale,
    }


def _write_las(path: Path, epsg: int, offset_m: NDArray[np.float64], points: DensePoints) -> None:
    """All points of a tile, in colour."""
    header = laspy.LasHeader(version="1.4", point_format=7)
    header.scales, header.offsets = np.full(3, SCALE_M), offset_m
    header.add_crs(pyproj.CRS.from_epsg(epsg))
    las = laspy.LasData(header)
    las.X, las.Y, las.Z = points.in_millimetres(np.arange(len(points.offsets)), offset_m).T
    las.red, las.green, las.blue = points.colors.T.astype(np.uint16) * 257
    las.return_number = las.number_of_returns = np.ones(len(points.offsets), np.uint8)
    las.write(path)


def _count(path: Path) -> int:
    with laspy.open(path) as reader:
        return int(reader.header.point_count)


def _execute(
    pdal: Pdal, stages: list[dict[str, Any]], pipeline: Path, report: Callable[[], None]
) -> None:
    pipeline.write_text(json.dumps(stages))
    log = pipeline.with_suffix(".log")
    code = execute([*pdal.command, str(pipeline)], log, report)
    if code != 0:
        raise StageError(
            "point_cloud",
            f"PDAL {pdal.version} {ending(code, log)}",
            "Its COPC writer holds all points in memory: where that is too little, go on without "
            "PDAL (no --pdal, no PDAL_BIN, no Python package 'pdal').",
        )


def _heed(run: Run) -> None:
    if run.cancelled.is_set():
        raise Cancelled("PDAL")
