"""OpenSfM's results against planted geometry, its commands with a stand-in, and the real one."""

import json
import os
import re
import shutil
import stat
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction import images, tie_points
from reconstruction.camera import Camera
from reconstruction.errors import Cancelled, OptionError, StageError
from reconstruction.features import FeatureFiles
from reconstruction.matches import MatchSet
from reconstruction.options import Options
from reconstruction.photo import Position
from reconstruction.sfm import SfmInputs, choose_engine, opensfm
from reconstruction.sfm.opensfm_model import read_model
from reconstruction.stage import Run

from . import planted

BROWN = Camera("c", 1200, 900, 950.0, 590.3, 455.2, -0.06, 0.01, -0.004, 2e-3, -1e-3)
PERSPECTIVE = Camera("c", 900, 1200, 950.0, 449.5, 599.5, -0.06, 0.01)
COMMANDS = ["extract_metadata", "detect_features", "match_features", "create_tracks", "reconstruct"]


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> planted.Planted:
    return planted.flight(tmp_path_factory.mktemp("planted"), noise_px=0.0)


def _image(name: str) -> str:
    """Name in the dataset, in an order that is not that of the photos."""
    return f"{99 - int(name.removesuffix('.jpg')):06d}.jpg"


def _camera(camera: Camera) -> dict:
    """As OpenSfM writes it: units of the longer side, from the middle of the image."""
    size = max(camera.width_px, camera.height_px)
    values = {"width": camera.width_px, "height": camera.height_px, "k1": camera.k1}
    values["k2"] = camera.k2
    if camera is PERSPECTIVE:
        return {**values, "projection_type": "perspective", "focal": camera.focal_px / size}
    return {
        **values,
        "projection_type": "brown",
        "focal_x": camera.focal_px / size,
        "focal_y": camera.focal_px / size,
        "c_x": (camera.cx_px + 0.5 - camera.width_px / 2) / size,
        "c_y": (camera.cy_px + 0.5 - camera.height_px / 2) / size,
        "k3": camera.k3,
        "p1": camera.p1,
        "p2": camera.p2,
    }


def _model(truth: planted.Planted, camera: Camera, shots) -> dict:
    points = enumerate(truth.points)
    return {
        "cameras": {"c": _camera(camera), "unused": _camera(PERSPECTIVE)},
        "shots": {
            _image(shot.name): {
                "rotation": Rotation.from_matrix(shot.rotation).as_rotvec().tolist(),
                "translation": (-shot.rotation @ shot.centre).tolist(),
                "camera": "c",
            }
            for shot in shots
        },
        "points": {f"{3 * i}": {"coordinates": xyz.tolist()} for i, xyz in points},
    }


def _tracks(truth: planted.Planted, camera: Camera, version: int = 2) -> str:
    lines = [f"OPENSFM_TRACKS_VERSION_v{version}"] if version else []
    size = max(camera.width_px, camera.height_px)
    for shot in truth.shots:
        pixels = camera.project(shot.to_camera(truth.points))
        limits = np.array([camera.width_px, camera.height_px])
        for i in np.flatnonzero(((pixels > 0) & (pixels < limits - 1)).all(axis=1)):
            x, y = (pixels[i] + 0.5 - limits / 2) / size
            more = ["0.002"] * bool(version) + ["9", "8", "7"] + ["-1", "-1"] * (version == 2)
            lines.append(
                "\t".join(
                    [_image(shot.name), f"{3 * i}", "5", repr(float(x)), repr(float(y)), *more]
                )
            )
    last = _image(truth.shots[0].name)
    lines.append(f"{last}\t1\t5\t0.1\t0.1\t0.002\t9\t8\t7\t-1\t-1")  # a track without a point
    return "\n".join(lines) + "\n"


def _write(folder: Path, models: list, tracks: str) -> Path:
    (folder / "reconstruction.json").write_text(json.dumps(models))
    (folder / "tracks.csv").write_text(tracks)
    return folder


def _photos(truth: planted.Planted) -> dict:
    return {_image(photo.name): photo for photo in truth.photos}


@pytest.mark.parametrize(
    ("camera", "version"), [(BROWN, 2), (BROWN, 1), (PERSPECTIVE, 0), (PERSPECTIVE, 2)]
)
def test_planted_geometry_comes_back(truth, tmp_path, camera, version):
    models = [_model(truth, camera, truth.shots)]
    _write(tmp_path, models, _tracks(truth, camera, version))
    model = read_model(tmp_path, _photos(truth))
    assert model.notes == ()
    assert [shot.name for shot in model.shots] == [shot.name for shot in truth.shots]
    for shot, real in zip(model.shots, truth.shots, strict=True):
        assert shot.rotation == pytest.approx(real.rotation, abs=1e-12)
        assert shot.centre == pytest.approx(real.centre, abs=1e-10)
    (found,) = model.cameras.values()
    assert found.name == "c"
    assert list(asdict(found).values())[1:] == pytest.approx(list(asdict(camera).values())[1:])
    assert len(model.tie_points.pixels) > 5000
    assert tie_points.errors_px(model).max() < 1e-6
    assert (np.diff(model.tie_points.point_index) >= 0).all()
    assert model.tie_points.points == pytest.approx(truth.points)


def test_an_odd_pixel_is_where_opensfm_means_it(truth, tmp_path):
    """The middle of an image lies between the pixels of an even width and on one of an odd."""
    camera = replace(BROWN, width_px=1201, height_px=901, k1=0, k2=0, k3=0, p1=0, p2=0)
    models = [_model(truth, camera, truth.shots)]
    track = f"{_image('00.jpg')}\t0\t0\t0.0\t0.0\t0.1\t9\t9\t9\t-1\t-1\n"
    model = read_model(_write(tmp_path, models, track), _photos(truth))
    assert model.tie_points.pixels.tolist() == [[600.0, 450.0]]
    assert next(iter(model.cameras.values())).cx_px == pytest.approx(camera.cx_px)


def test_models_that_share_places_are_joined_and_the_rest_is_named(truth, tmp_path):
    small, large = truth.shots[:4], truth.shots[4:-1]
    models = [_model(truth, BROWN, small), _model(truth, BROWN, large)]
    model = read_model(_write(tmp_path, models, _tracks(truth, BROWN)), _photos(truth))
    assert {shot.name for shot in model.shots} == {shot.name for shot in (*small, *large)}
    separate, missing = model.notes
    assert "2 separate models of 7, 4 photos" in separate
    assert truth.shots[-1].name in missing
    assert tie_points.errors_px(model).max() < 1e-6


def test_models_that_share_nothing_leave_the_largest_and_name_the_rest(truth, tmp_path):
    small, large = _model(truth, BROWN, truth.shots[:4]), _model(truth, BROWN, truth.shots[4:])
    points = list(small["points"])
    small["points"] = {key: small["points"][key] for key in points[::2]}
    large["points"] = {key: large["points"][key] for key in points[1::2]}
    model = read_model(_write(tmp_path, [small, large], _tracks(truth, BROWN)), _photos(truth))
    assert [shot.name for shot in model.shots] == [shot.name for shot in truth.shots[4:]]
    separate, missing = model.notes
    assert "2 separate models of 8, 4 photos" in separate
    assert all(shot.name in missing for shot in truth.shots[:4])
    assert model.tie_points.shot_index.max() == 7


@pytest.mark.parametrize("kind", ["fisheye", "spherical", "dual"])
def test_a_lens_that_is_none_of_browns_is_refused(truth, tmp_path, kind):
    values = _model(truth, PERSPECTIVE, truth.shots)
    values["cameras"]["c"]["projection_type"] = kind
    _write(tmp_path, [values], _tracks(truth, PERSPECTIVE))
    with pytest.raises(StageError, match=f"'{kind}'.*colmap"):
        read_model(tmp_path, _photos(truth))


def test_too_few_photos_in_one_model_are_an_error_with_a_remedy(truth, tmp_path):
    for models in ([], [_model(truth, BROWN, truth.shots[:2])]):
        _write(tmp_path, models, _tracks(truth, BROWN))
        with pytest.raises(StageError, match=r"12 photos could not be put together.*overlap"):
            read_model(tmp_path, _photos(truth))


@pytest.mark.parametrize(
    ("models", "tracks"),
    [
        ("not JSON", ""),
        ('{"a": 1}', ""),
        ('[{"shots": 3}]', ""),
        ('[{"shots": {"a": {}, "b": {}, "c": {}}}]', ""),
        (None, "no tracks"),
        (None, "000099.jpg\t0\t5\tleft\tright\t0\t0\t0\n"),
        (None, "000099.jpg\t0\t5\n"),
    ],
)
def test_garbage_is_an_error_with_a_remedy(truth, tmp_path, models, tracks):
    models = models or json.dumps([_model(truth, BROWN, truth.shots)])
    (tmp_path / "reconstruction.json").write_text(models)
    (tmp_path / "tracks.csv").write_text(tracks)
    with pytest.raises(StageError, match=r"cannot be read.*OPENSFM_BIN"):
        read_model(tmp_path, _photos(truth))


def _inputs(truth: planted.Planted, folder: Path) -> SfmInputs:
    """Photos that are empty files, of which two have the same file name."""
    photos = []
    for index, photo in enumerate(truth.photos):
        path = folder / "photos" / f"{index // 2}" / f"a b{index % 2}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        photos.append(replace(photo, path=path))
    return SfmInputs(tuple(photos), FeatureFiles(folder, {}, {}), MatchSet(()))


def _program(folder: Path, body: str) -> Path:
    """A stand-in for OpenSfM: ``command`` and ``dataset`` are what it was called with."""
    path = folder / "bin" / "opensfm"
    path.parent.mkdir(exist_ok=True)
    head = f"#!{sys.executable}\nimport os, pathlib, shutil, subprocess, sys, time\n"
    start = "command, dataset = sys.argv[1], pathlib.Path(sys.argv[2])\n"
    path.write_text(head + start + body)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def results(truth, tmp_path) -> Path:
    """A folder with what a run would give, its images numbered as the dataset has them."""
    folder = tmp_path / "results"
    folder.mkdir()
    tracks = _tracks(truth, BROWN)
    values = json.dumps([_model(truth, BROWN, truth.shots)])
    for index, photo in enumerate(truth.photos):
        tracks = tracks.replace(_image(photo.name), f"new{index:06d}.JPG")
        values = values.replace(_image(photo.name), f"new{index:06d}.JPG")
    (folder / "tracks.csv").write_text(tracks.replace("new", ""))
    (folder / "reconstruction.json").write_text(values.replace("new", ""))
    return folder


def test_commands_run_in_order_on_what_is_known(truth, tmp_path, results):
    program = _program(
        tmp_path,
        f"results = pathlib.Path({str(results)!r})\n"
        "with open(results / 'commands', 'a') as said:\n    said.write(command + '\\n')\n"
        "if command == 'create_tracks':\n    shutil.copy(results / 'tracks.csv', dataset)\n"
        "if command == 'reconstruct':\n    shutil.copy(results / 'reconstruction.json', dataset)\n"
        "    for name in ('image_list.txt', 'exif_overrides.json', 'config.yaml'):\n"
        "        shutil.copy(dataset / name, results)\n"
        "    assert all((dataset / n).is_file()"
        " for n in (dataset / 'image_list.txt').read_text().split())\n",
    )
    inputs = _inputs(truth, tmp_path)
    position = Position(46.8, -92.1, 180.0, 2.0, 5.0, "geo")
    photos = (replace(inputs.photos[0], position=position), *inputs.photos[1:])
    said = []
    run = Run(lambda fraction, message: said.append(fraction), jobs=2)
    model = opensfm.reconstruct(replace(inputs, photos=photos), tmp_path, run, program)
    assert [shot.name for shot in model.shots] == [shot.name for shot in truth.shots]
    assert tie_points.errors_px(model).max() < 1e-6
    assert len(model.tie_points.points) > 1000
    assert (results / "commands").read_text().split() == COMMANDS
    assert said == sorted(said)
    assert said[-1] <= 1.0
    assert not (tmp_path / "opensfm").exists()
    known = json.loads((results / "exif_overrides.json").read_text())
    first, second = (known[f"{index:06d}.JPG"] for index in (0, 1))
    assert first["gps"]["latitude"] == 46.8
    assert second["gps"] == {}
    assert first["camera"] == "c"
    assert first["focal_ratio"] == pytest.approx(950.0 / 1200.0)
    text = (results / "config.yaml").read_text()
    assert not re.search(r": [\d.]+e", text)  # YAML 1.1 reads 1e-05 as text
    config = json.loads(text)
    assert config["processes"] == 2
    assert config["matching_gps_neighbors"] == 0  # for not all photos have a position
    assert config["matching_vlad_neighbors"] > 0


def test_a_command_that_fails_shows_the_end_of_its_log(truth, tmp_path):
    program = _program(
        tmp_path,
        "print('all is well with', command)\n"
        "if command == 'match_features':\n    sys.exit('bad descriptors')\n",
    )
    with pytest.raises(StageError, match=r"(?s)match_features ended with code 1.*bad descriptors"):
        opensfm.reconstruct(_inputs(truth, tmp_path), tmp_path, Run(), program)
    assert "all is well with detect_features" in (tmp_path / "opensfm.log").read_text()


def test_a_command_that_is_killed_says_so(truth, tmp_path):
    program = _program(tmp_path, "os.kill(os.getpid(), 9)\n")
    with pytest.raises(StageError, match=r"(?s)killed by signal 9.*memory"):
        opensfm.reconstruct(_inputs(truth, tmp_path), tmp_path, Run(), program)


def test_commands_that_leave_no_result_are_an_error(truth, tmp_path):
    program = _program(tmp_path, "print('done')\n")
    with pytest.raises(StageError, match=r"cannot be read.*reconstruction\.json"):
        opensfm.reconstruct(_inputs(truth, tmp_path), tmp_path, Run(), program)


def test_a_program_that_cannot_start_is_an_error(truth, tmp_path):
    program = _program(tmp_path, "")
    program.write_text("#!/nowhere/python\n")
    with pytest.raises(StageError, match="cannot be started"):
        opensfm.reconstruct(_inputs(truth, tmp_path), tmp_path, Run(), program)


def test_the_wish_to_stop_ends_the_program_and_its_children(truth, tmp_path):
    """The stand-in hears no polite signal and has a child of its own."""
    program = _program(
        tmp_path,
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "(dataset / 'new').write_text(f'{os.getpid()} {child.pid}')\n"
        "(dataset / 'new').rename(dataset / 'pids')\ntime.sleep(300)\n",
    )
    pids: list[int] = []
    cancelled = threading.Event()

    def report(fraction: float, message: str) -> None:
        noted = tmp_path / "opensfm" / "pids"
        if noted.exists() and not pids:
            pids.extend(int(pid) for pid in noted.read_text().split())
            cancelled.set()

    with pytest.raises(Cancelled):
        opensfm.reconstruct(
            _inputs(truth, tmp_path), tmp_path, Run(report, cancelled=cancelled), program
        )
    assert len(pids) == 2
    deadline = time.monotonic() + 5.0
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in pids)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_missing_program_is_refused_before_work_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OptionError, match=r"on the PATH.*OPENSFM_BIN"):
        Options(engine="opensfm")
    with pytest.raises(OptionError, match="nowhere"):
        Options(engine="opensfm", opensfm=str(tmp_path / "nowhere"))
    program = _program(tmp_path, "")
    for path in (str(program), str(program.parent)):
        assert opensfm.require(path) == program
        assert Options(engine="opensfm", opensfm=path).sfm.program == path
    monkeypatch.setenv("PATH", str(program.parent))
    assert opensfm.require() == program
    program.chmod(stat.S_IRUSR)
    with pytest.raises(OptionError):
        choose_engine("opensfm", str(program))


REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.real
def test_a_real_flight_comes_together(tmp_path):
    program = os.environ.get("OPENSFM_BIN") or shutil.which("opensfm")
    if not program:
        pytest.skip("OpenSfM is not installed: no opensfm on the PATH and no OPENSFM_BIN")
    folder = REAL / "brighton_beach" / "images"
    if not folder.is_dir():
        pytest.skip(f"the flight {folder} is not there")
    run = Run(jobs=2)
    photos = images.read_flight(images.PhotoFolder(folder), run).photos
    inputs = SfmInputs(photos, FeatureFiles(tmp_path, {}, {}), MatchSet(()))
    model = choose_engine("opensfm", program)(inputs, tmp_path, run)
    assert len(model.shots) == len(photos)
    assert np.mean(tie_points.errors_px(model)) < 1.5
    assert np.bincount(model.tie_points.shot_index).min() > 100
