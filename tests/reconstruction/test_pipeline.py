"""From photos to a survey folder, against the truth of a rendered flight; and back from a crash."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject

from reconstruction.__main__ import main
from reconstruction.alone import alone
from reconstruction.block import Block
from reconstruction.errors import Cancelled, OptionError
from reconstruction.options import Options
from reconstruction.pipeline import LOCK_FILE, LOG_FILE, RECIPE, Request, reconstruct
from reconstruction.stage import Run
from reconstruction.synthetic import FlightOptions, render_flight

PRODUCTS = (
    "dsm.tif", "dsm_quality.tif", "point_cloud.copc.laz", "orthomosaic.tif", "model/tileset.json",
    "cameras.geojson", "accuracy.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos with four control and three check points."""
    folder = tmp_path_factory.mktemp("flight") / "flight"
    render_flight(folder, FlightOptions(size="small", gcps=4, check_points=3), Run(jobs=2))
    return folder


@pytest.fixture(scope="module")
def survey(flight: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("survey") / "survey"
    request = Request(flight / "images", folder, Options(), flight / "gcp_list.txt")
    seen: list[float] = []
    reconstruct(request, 2, lambda stage, fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    return folder


def facts(survey: Path, name: str) -> dict:
    return json.loads((survey / name).read_text(encoding="utf-8"))


def elevations(path: Path, like: rasterio.DatasetReader) -> np.ndarray:
    """A raster's cells, averaged onto the grid of another."""
    with rasterio.open(path) as source:
        found = np.full(like.shape, np.nan, np.float32)
        reproject(
            source.read(1, masked=True).filled(np.nan), found,
            src_transform=source.transform, src_crs=source.crs, src_nodata=np.nan,
            dst_transform=like.transform, dst_crs=like.crs, dst_nodata=np.nan,
            resampling=Resampling.average,
        )  # fmt: skip
    return found


def test_every_product_is_there_and_is_what_the_inventory_says(survey):
    import hashlib

    listed = {item["path"]: item for item in facts(survey, "survey.json")["products"]}
    assert set(PRODUCTS) <= set(listed)
    for path, item in listed.items():
        content = (survey / path).read_bytes()
        assert len(content) == item["size_bytes"]
        assert hashlib.sha256(content).hexdigest() == item["sha256"]


def test_poses_are_the_planted_ones(flight, survey):
    truth = Block.load(flight / "truth" / "block")
    block = Block.load(survey / "work" / "georeference")
    planted = {shot.name: shot for shot in truth.shots}
    assert len(block.shots) == len(planted) == 12
    errors = np.array(
        [
            truth.frame.from_map(block.frame.to_map(shot.centre[None]))[0]
            - planted[shot.name].centre
            for shot in block.shots
        ]
    )
    rms = np.sqrt(np.mean(errors**2, axis=0))
    assert rms[:2].max() < 0.03
    # A dozen photos from one height leave the focal length, and with it their height, uncertain
    # by as much as the adjustment says.
    (lens,) = facts(survey, "accuracy.json")["cameras"].values()
    height = np.mean([shot.centre[2] for shot in block.shots]) - np.median(
        block.tie_points.points[:, 2]
    )
    assert rms[2] < 4.0 * height * lens["focal_px_sigma"] / lens["focal_px"]
    assert facts(survey, "accuracy.json")["registered_count"] == 12


def test_check_points_are_within_their_limits(survey):
    """At most 1 GSD horizontally and 1.5 GSD vertically."""
    gsd_m = facts(survey, "survey.json")["gsd_m"]
    rmse = facts(survey, "accuracy.json")["check_point_rmse_m"]
    assert rmse["horizontal"] < gsd_m
    assert rmse["vertical"] < 1.5 * gsd_m


def test_surface_is_the_true_one(flight, survey):
    gsd_m = facts(survey, "survey.json")["gsd_m"]
    with rasterio.open(survey / "dsm.tif") as dsm:
        error = dsm.read(1, masked=True).filled(np.nan)
        error -= elevations(flight / "truth" / "dsm.tif", dsm)
    error = error[np.isfinite(error)]
    bias = np.median(error)
    assert error.size > 100_000
    assert 1.4826 * np.median(np.abs(error - bias)) < 1.2 * gsd_m
    assert abs(bias) < 1.0 * gsd_m


def test_relief_of_the_piles_is_the_true_one(flight, survey):
    """Mean height over a pile's polygon less that of a ring around it, within 1 %."""
    from rasterio.features import geometry_mask
    from shapely.geometry import mapping, shape

    piles = facts(flight, "piles.geojson")["features"]
    with rasterio.open(survey / "dsm.tif") as dsm:
        measured = dsm.read(1, masked=True).filled(np.nan)
        truth = elevations(flight / "truth" / "dsm.tif", dsm)
        for pile in piles:
            toe = shape(pile["geometry"])
            inside, ring = (
                ~geometry_mask([mapping(area)], dsm.shape, dsm.transform)
                for area in (toe, toe.buffer(1.0).difference(toe))
            )
            heights = [np.nanmean(z[inside]) - np.nanmean(z[ring]) for z in (measured, truth)]
            assert heights[0] == pytest.approx(heights[1], rel=0.01)


def test_accuracy_holds_what_the_volumes_need(survey):
    accuracy = facts(survey, "accuracy.json")
    assert 0.0 < accuracy["scale_sigma"] < 0.01
    components = accuracy["dsm_noise"]["components"]
    assert all(item["sigma_m"] > 0.0 and item["range_m"] > 0.0 for item in components)
    assert accuracy["reprojection_error_px"] < 1.0


def test_second_run_repeats_nothing(flight, survey):
    before = {stage.name: (survey / "work" / stage.name).stat().st_mtime_ns for stage in RECIPE}
    request = Request(flight / "images", survey, Options(), flight / "gcp_list.txt")
    reconstruct(request, 2)
    after = {stage.name: (survey / "work" / stage.name).stat().st_mtime_ns for stage in RECIPE}
    assert after == before


def test_second_run_waits_and_goes_on_where_the_first_is_killed(flight, tmp_path):
    """Two at one survey, then kill -9: the other keeps what was finished and ends like any."""
    survey = tmp_path / "survey"
    command = [
        sys.executable, "-m", "reconstruction", str(flight / "images"), str(survey),
        "--quality", "preview", "--jobs", "2",
    ]  # fmt: skip
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    _wait_for(survey / "work" / "features.partial", first)
    with (tmp_path / "second.txt").open("w") as said:
        second = subprocess.Popen(command, stderr=said, start_new_session=True)
    _wait_for(survey / "work" / "dense.partial", first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (survey / "survey.json").exists()
    assert not (survey / "work" / "dense").exists()
    kept = (survey / "work" / "sfm").stat().st_mtime_ns
    assert second.wait(300.0) == 0
    assert "Waiting for another run" in (tmp_path / "second.txt").read_text()
    assert (survey / "work" / "sfm").stat().st_mtime_ns == kept
    assert not (survey / "work" / "dense.partial").exists()
    assert {item["path"] for item in facts(survey, "survey.json")["products"]} >= set(PRODUCTS)


def test_who_waits_and_is_stopped_leaves_no_end_in_the_log_of_the_other(flight, tmp_path):
    cancelled = threading.Event()
    request = Request(flight / "images", tmp_path, Options())
    with alone(tmp_path / LOCK_FILE, pytest.fail), pytest.raises(Cancelled):
        reconstruct(request, 1, lambda *_: cancelled.set(), cancelled)
    assert not (tmp_path / LOG_FILE).exists()


def test_what_the_disk_cannot_hold_is_refused_before_the_work(
    flight, tmp_path, monkeypatch, capsys
):
    command = [str(flight / "images"), str(tmp_path), "--jobs", "1"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.02e9))
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"This needs about 0.1 GB in {tmp_path}, and 0.0 GB are free there." in said
    assert "Free some space" in said
    # Photos were read, and nothing else.
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["images"]
    assert "RoomError" in (tmp_path / LOG_FILE).read_text()


def _wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300.0
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_wish_to_stop_is_heard_and_a_changed_option_reruns_what_depends_on_it(flight, survey):
    copy = survey.with_name("copy")
    shutil.copytree(survey, copy)
    cancelled = threading.Event()

    def report(stage: str, fraction: float, message: str) -> None:
        if stage == "dense":
            cancelled.set()

    request = Request(flight / "images", copy, Options(quality="preview"), flight / "gcp_list.txt")
    before = {name: (copy / "work" / name).stat().st_mtime_ns for name in ("images", "pairs")}
    with pytest.raises(Cancelled):
        reconstruct(request, 2, report, cancelled)
    for name, when in before.items():
        assert (copy / "work" / name).stat().st_mtime_ns == when
    lines = [json.loads(line) for line in (copy / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"
    events = {(line["stage"], line["event"]) for line in lines}
    assert ("images", "resumed") in events


def test_points_are_forgotten_in_the_end_and_made_anew_for_another_surface(flight, survey):
    assert not list((survey / "work" / "dense").glob("tile_*"))
    copy = survey.with_name("again")
    shutil.copytree(survey, copy)
    request = Request(flight / "images", copy, Options(), flight / "gcp_list.txt")

    def events(stage: str) -> list[str]:
        (copy / LOG_FILE).unlink()
        reconstruct(request, 2)
        lines = [json.loads(line) for line in (copy / LOG_FILE).read_text().splitlines()]
        return [line["event"] for line in lines if line["stage"] == stage]

    assert events("dense") == ["started", "resumed"]
    # As if it had been interrupted before its surface model was whole.
    shutil.rmtree(copy / "work" / "dsm")
    assert events("dense") == ["started", "finished"]
    assert (copy / "dsm.tif").read_bytes() == (survey / "dsm.tif").read_bytes()
    assert not list((copy / "work" / "dense").glob("tile_*"))


def test_survey_inside_the_photos_is_refused(flight):
    with pytest.raises(OptionError, match="inside the photo folder"):
        reconstruct(Request(flight / "images", flight / "images" / "survey", Options()), 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quality": "best"}, "no quality 'best'"),
        ({"engine": "magic"}, "no engine 'magic'"),
        ({"epsg": 4326}, "not projected in metres"),
        ({"epsg": 2264}, "not projected in metres"),
        ({"epsg": 999999}, "not a known"),
    ],
)
def test_impossible_options_are_refused_before_any_work(values, message):
    with pytest.raises(OptionError, match=message):
        Options(**values)
