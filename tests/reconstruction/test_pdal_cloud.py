"""The cloud that PDAL writes against the one written without it; its failures with a stand-in."""

import importlib.util
import os
import threading
import time
from pathlib import Path

import laspy
import numpy as np
import pytest

from reconstruction.errors import Cancelled, OptionError, StageError
from reconstruction.options import Options
from reconstruction.pdal_cloud import find_pdal
from reconstruction.point_cloud import POINT_CLOUD, PointCloudInputs, PointCloudOptions
from reconstruction.point_tile import PointTile
from reconstruction.stage import Run

ORIGIN = np.array([500000.0, 5270000.0, 430.0])
TILE_M = 20.0
ON_GROUND, IN_AIR = 40_000, 40
PROGRAM = os.environ.get("PDAL_BIN")
NO_PROGRAM = "the environment names no PDAL program (PDAL_BIN)"
NO_PACKAGE = "the Python package 'pdal' is not installed"


@pytest.fixture(
    params=[
        pytest.param("program", marks=pytest.mark.skipif(not PROGRAM, reason=NO_PROGRAM)),
        pytest.param(
            "package",
            marks=pytest.mark.skipif(not importlib.util.find_spec("pdal"), reason=NO_PACKAGE),
        ),
    ]
)
def pdal(request):
    """The PDAL that is installed, in both ways."""
    return find_pdal(PROGRAM if request.param == "program" else None)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two tiles of a wavy surface with steep parts; some points hang in the air."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(5)
    tiles = []
    for index in range(2):
        xy = rng.uniform(0.0, TILE_M, (ON_GROUND + IN_AIR, 2))
        z = 2.0 * np.tanh(3.0 * np.sin(xy[:, 0])) + 0.1 * xy[:, 1]
        z[ON_GROUND:] = rng.uniform(10.0, 90.0, IN_AIR)
        offsets = np.column_stack((xy, z)).astype(np.float32)
        colors = rng.integers(0, 256, (len(offsets), 3)).astype(np.uint8)
        origin = ORIGIN + np.array([TILE_M * index, 0.0, 0.0])
        path = folder / f"{index}.npz"
        np.savez(path, origin=origin, offsets=offsets, colors=colors, sigma_m=offsets[:, 0])
        west, south = origin[:2]
        tiles.append(PointTile(path, (west, south, west + TILE_M, south + TILE_M), len(offsets)))
    return PointCloudInputs(tuple(tiles), 32632)


def made(inputs, options, folder):
    """The cloud, and its points as rows of millimetres and colours in an order of their own."""
    folder.mkdir()
    cloud = POINT_CLOUD.run(inputs, options, folder, Run(jobs=2))
    with laspy.CopcReader.open(str(cloud.path)) as reader:
        points, header = reader.query(), reader.header
    place = np.column_stack((points.x, points.y, points.z)) - ORIGIN
    colours = np.column_stack((points.red, points.green, points.blue))
    rows = np.column_stack((np.rint(place * 1000).astype(np.int64), colours))
    return cloud, header, rows[np.lexsort(rows.T)]


def test_pdal_writes_the_same_points_with_the_same_colours(inputs, pdal, tmp_path):
    own, _, expected = made(inputs, PointCloudOptions(0.0), tmp_path / "own")
    cloud, header, rows = made(inputs, PointCloudOptions(0.0, pdal), tmp_path / "pdal")
    np.testing.assert_array_equal(rows, expected)
    assert (cloud.count, cloud.outlier_count) == (own.count, 0)
    assert (own.written_by, cloud.written_by) == ("cairn", f"PDAL {pdal.version}")
    assert (str(header.version), header.point_format.id) == ("1.4", 7)
    assert header.parse_crs().to_epsg() == 32632
    np.testing.assert_array_equal(header.scales, 0.001)
    assert POINT_CLOUD.load(tmp_path / "pdal") == cloud
    assert sorted(path.name for path in cloud.path.parent.iterdir()) == [
        "point_cloud.copc.laz",
        "point_cloud.json",
    ]


def test_pdal_leaves_out_what_is_left_out_without_it(inputs, pdal, tmp_path):
    _, _, expected = made(inputs, PointCloudOptions(), tmp_path / "own")
    cloud, _, rows = made(inputs, PointCloudOptions(pdal=pdal), tmp_path / "pdal")
    common = len(set(map(tuple, rows)) & set(map(tuple, expected)))
    assert common >= 0.998 * max(len(rows), len(expected))
    in_air_mm = 5000
    assert (rows[:, 2] > in_air_mm).sum() <= 0.05 * 2 * IN_AIR
    assert cloud.count + cloud.outlier_count == 2 * (ON_GROUND + IN_AIR)


def stand_in(folder, does) -> Path:
    """A program that tells a version as PDAL does, and does something else with a pipeline."""
    program = folder / "pdal"
    told = 'if [ "$1" = --version ]; then echo "pdal 9.8.7 (git-version: Release)"; exit; fi'
    program.write_text(f"#!/bin/sh\n{told}\n{does}\n")
    program.chmod(0o755)
    return program


def test_what_pdal_says_when_it_fails_is_told(inputs, tmp_path):
    pdal = find_pdal(str(stand_in(tmp_path, "echo no memory left >&2; exit 3")))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StageError, match=r"9\.8\.7 ended with code 3:\nno memory left") as caught:
        POINT_CLOUD.run(inputs, PointCloudOptions(pdal=pdal), out, Run())
    assert "without PDAL" in caught.value.hint
    assert not (out / "point_cloud.copc.laz").exists()


def test_stopping_ends_pdal(inputs, tmp_path):
    pdal = find_pdal(str(stand_in(tmp_path, f"touch {tmp_path}/begun; sleep 600")))
    cancelled = threading.Event()

    def stop() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        cancelled.set()

    threading.Thread(target=stop).start()
    (tmp_path / "out").mkdir()
    with pytest.raises(Cancelled):
        POINT_CLOUD.run(
            inputs, PointCloudOptions(pdal=pdal), tmp_path / "out", Run(cancelled=cancelled)
        )


def test_a_pdal_that_is_named_and_does_not_work_is_refused_before_any_work(tmp_path):
    with pytest.raises(OptionError, match=r"PDAL does not work: .*none"):
        Options(pdal=str(tmp_path / "none"))
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    with pytest.raises(OptionError, match="says no version"):
        Options(pdal=str(silent))


def test_options_name_the_pdal_that_is_there(tmp_path):
    program = stand_in(tmp_path, "exit 0")
    found = Options(pdal=str(program)).point_cloud.pdal
    assert (found.command, found.version) == ((str(program), "pipeline"), "9.8.7")


@pytest.mark.skipif(bool(importlib.util.find_spec("pdal")), reason="the package 'pdal' is there")
def test_without_pdal_the_cloud_is_written_by_ourselves():
    assert Options().point_cloud.pdal is None
