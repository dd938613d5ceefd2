"""Structure from motion with the OpenSfM programs, where they are installed.

OpenSfM gets the photos and what is known of them, finds and matches features of its own, and
maps incrementally. It is kept from bending its model to the photos' positions: these are
weighed, with all other evidence, by `reconstruction.georeference`. So the place that OpenSfM
gives its model (``reference_lla.json``) has no meaning here either.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from reconstruction import tie_points
from reconstruction.block import SparseModel
from reconstruction.errors import OptionError, StageError
from reconstruction.photo import Photo
from reconstruction.programs import ending, execute
from reconstruction.sfm import FOCAL_GUESS, STAGE_NAME, SfmInputs
from reconstruction.sfm.opensfm_model import read_model
from reconstruction.stage import Run

_PROGRAM = "opensfm"
_NEIGHBOURS = 16  # photos that a photo is matched with, by position
_LIKE_NEIGHBOURS = 24  # by likeness, where not all have a position
_FEATURES = 8000  # a photo: with OpenSfM's own 4000 some photos keep less than 100 tie points
_MAX_ERROR = 1e-3  # of an observation, as a share of the photo's longer side
_PASSED_ON_A_PHOTO = 4000


class _Step(NamedTuple):
    """One command: what it is, how much of the time it takes, where it puts a file a photo."""

    command: str
    title: str
    share: float
    files: str | None = None


_STEPS = (
    _Step("extract_metadata", "OpenSfM: metadata", 0.02, "exif"),
    _Step("detect_features", "OpenSfM: features", 0.33, "features"),
    _Step("match_features", "OpenSfM: matches", 0.30),
    _Step("create_tracks", "OpenSfM: tracks", 0.02),
    _Step("reconstruct", "OpenSfM: mapping", 0.30),
)


def require(program: str | None = None) -> Path:
    """Refuse before work starts where OpenSfM is missing.

    Parameters
    ----------
    program : str or None
        OpenSfM's program or the folder it is in; None looks for ``opensfm`` on the PATH.

    Returns
    -------
    Path
        The program.

    Raises
    ------
    OptionError
    """
    inside = Path(program, _PROGRAM) if program is not None and Path(program).is_dir() else None
    found = shutil.which(inside or program or _PROGRAM)
    if found is None:
        where = "on the PATH" if program is None else f"at {program}"
        raise OptionError(
            f"The engine 'opensfm' needs OpenSfM's program, and there is none {where}.",
            "Install OpenSfM and put its folder 'bin' on the PATH or name its program by the "
            "environment variable OPENSFM_BIN, or choose --engine colmap.",
        )
    return Path(found).absolute()


def reconstruct(inputs: SfmInputs, folder: Path, run: Run, program: Path) -> SparseModel:
    """Cameras and tie points of a flight.

    Parameters
    ----------
    inputs : SfmInputs
        The photos; OpenSfM finds and matches features of its own.
    folder : Path
        For OpenSfM's dataset and its log.
    run : Run
    program : Path
        From `require`.

    Returns
    -------
    SparseModel
        Some thousand observations a photo. The world has an arbitrary place, scale and
        rotation.

    Raises
    ------
    StageError
        When a command fails, with the end of its log, and when fewer than three photos can be
        put together.
    """
    dataset = folder / "opensfm"
    images = _write_dataset(dataset, inputs.photos, run.jobs)
    start = 0.0
    for step in _STEPS:
        part = run.part(start, start + step.share)
        _perform(step, program, dataset, folder / "opensfm.log", len(images), part)
        start += step.share
    run.progress(start, "Tie points")
    model = read_model(dataset, images)
    ties = tie_points.reintersect(model.cameras, model.shots, model.tie_points, _MAX_ERROR)
    model = replace(model, tie_points=ties)
    shutil.rmtree(dataset)
    return replace(model, tie_points=tie_points.thin(model, _PASSED_ON_A_PHOTO))


def _write_dataset(dataset: Path, photos: tuple[Photo, ...], jobs: int) -> Mapping[str, Photo]:
    """What OpenSfM reads; returns the photos by the name of their image there.

    OpenSfM knows an image by the name of its file alone, so each photo gets one of its own.
    """
    images = {f"{number:06d}{photo.path.suffix}": photo for number, photo in enumerate(photos)}
    (dataset / "images").mkdir(parents=True)
    for image, photo in images.items():
        (dataset / "images" / image).symlink_to(photo.path.absolute())
    names = "".join(f"images/{image}\n" for image in images)
    (dataset / "image_list.txt").write_text(names, encoding="utf-8")
    known = {image: _metadata(photo) for image, photo in images.items()}
    (dataset / "exif_overrides.json").write_text(json.dumps(known), encoding="utf-8")
    # JSON is YAML as well, as long as no number needs an exponent: YAML 1.1 reads 1e-05 as text.
    config = json.dumps(_config(photos, jobs), indent=1)
    (dataset / "config.yaml").write_text(config, encoding="utf-8")
    return images


def _config(photos: tuple[Photo, ...], jobs: int) -> dict[str, Any]:
    placed = all(photo.position is not None for photo in photos)
    return {
        "processes": jobs,
        "read_processes": jobs,
        "feature_type": "HAHOG",
        "feature_min_frames": _FEATURES,
        "matching_gps_distance": 0,
        "matching_gps_neighbors": _NEIGHBOURS if placed else 0,
        "matching_vlad_neighbors": 0 if placed else _LIKE_NEIGHBOURS,
        "bundle_use_gps": False,
        "bundle_use_gcp": False,
        "aspect_ratio_sd": 0.0001,  # square pixels
    }


def _metadata(photo: Photo) -> dict[str, Any]:
    """What takes the place of OpenSfM's own reading of a photo's metadata.

    Make and model are hidden, for OpenSfM has calibrations of its own for some, with lens
    models that the project's camera cannot express.
    """
    size = max(photo.width_px, photo.height_px)
    gps = {}
    if photo.position is not None:
        gps = {
            "latitude": photo.position.latitude_deg,
            "longitude": photo.position.longitude_deg,
            "altitude": photo.position.altitude_m or 0.0,
            "dop": photo.position.horizontal_sigma_m,
        }
    return {
        "camera": photo.camera,
        "make": "unknown",
        "model": "unknown",
        "width": photo.width_px,
        "height": photo.height_px,
        "projection_type": "brown",
        "focal_ratio": photo.focal_px / size if photo.focal_px else FOCAL_GUESS,
        "gps": gps,
    }


def _perform(step: _Step, program: Path, dataset: Path, log: Path, count: int, run: Run) -> None:
    """Run one command to its end."""

    def report() -> None:
        done = len(list((dataset / step.files).glob("*"))) if step.files else 0
        run.progress(min(1.0, done / count), step.title)

    try:
        code = execute([str(program), step.command, str(dataset)], log, report)
    except OSError as error:
        raise StageError(
            STAGE_NAME,
            f"OpenSfM's program {program} cannot be started: {error.strerror}.",
            "Check the environment variable OPENSFM_BIN, or choose --engine colmap.",
        ) from error
    if code != 0:
        raise StageError(
            STAGE_NAME,
            f"OpenSfM's command {step.command} {ending(code, log)}",
            f"All that it wrote is in {log}. If memory ran short, take fewer --jobs; else check "
            f"the installation ({program}) or choose --engine colmap.",
        )
