"""Structure from motion with COLMAP's program, as Debian ships it for every architecture.

Features and matches are the project's own; the program gets a database of long, well-spread
tracks and maps incrementally. The lens it finds is a simple one (focal length and one radial
term): the rest is left to the adjustment in `reconstruction.georeference`, as with OpenSfM.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from reconstruction import tie_points
from reconstruction.block import SparseModel
from reconstruction.errors import OptionError, StageError
from reconstruction.programs import ending, execute
from reconstruction.sfm import (
    STAGE_NAME,
    SfmInputs,
    colmap_files,
    mapper_tracks,
    not_put_together,
    unplaced,
)
from reconstruction.sfm.joining import join
from reconstruction.sfm.mapper_tracks import MapperTracks
from reconstruction.stage import Run

_PROGRAM = "colmap"
# Its Qt would look for one.
_NO_SCREEN = {"QT_QPA_PLATFORM": "offscreen"}
_SEED = 1
_TRACKS_A_PHOTO = 800  # an incremental mapper lives on overlaps of three and more photos
_PASSED_ON_A_PHOTO = 4000
# Shares of the photo's longer side; the lens is coarse yet.
_BAND = 2e-3
_MAX_ERROR = 1.5e-3
_NOTHING = b"failed to create sparse model"
_VERSION = re.compile(rb"COLMAP (\S+)")
_REGISTERED = re.compile(rb"Registering image #\d+ \((\d+)\)")


def find() -> Path | None:
    """COLMAP's program on the PATH, if there is one."""
    found = shutil.which(_PROGRAM)
    return None if found is None else Path(found)


def require() -> Path:
    """COLMAP's program; refuses before work starts where it is missing.

    Raises
    ------
    OptionError
    """
    program = find()
    if program is None:
        raise OptionError(
            "The engine 'colmap-cli' needs the program colmap, and there is none on the PATH.",
            "Install it ('apt-get install colmap' on Debian), or choose another --engine.",
        )
    return program


def version(program: Path) -> str:
    """What the program says of itself; nothing where it does not say it."""
    words = [str(program), "help"]
    said = subprocess.run(words, capture_output=True, env=os.environ | _NO_SCREEN, check=False)
    found = _VERSION.search(said.stdout)
    return found[1].decode() if found else ""


def reconstruct(inputs: SfmInputs, folder: Path, run: Run, program: Path) -> SparseModel:
    """Cameras and tie points of a flight.

    Parameters
    ----------
    inputs : SfmInputs
    folder : Path
        For COLMAP's files and its log.
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
    work = folder / "colmap"
    work.mkdir()
    colmap = _Colmap(program, folder / "colmap.log")
    run.progress(0.0, "COLMAP: tracks")
    database = work / "colmap.db"
    colmap.perform("database_creator", {"database_path": database}, run.part(0.0, 0.05))
    chosen = mapper_tracks.choose(inputs, _TRACKS_A_PHOTO)
    colmap_files.write_database(database, inputs, chosen)
    _map(colmap, work, inputs, run.part(0.05, 0.7))
    model = _whole(colmap, work, inputs, chosen, run.part(0.7, 0.75))
    model = tie_points.densify(model, inputs.features, _BAND, run.part(0.75, 1.0))
    ties = tie_points.reintersect(model.cameras, model.shots, model.tie_points, _MAX_ERROR)
    model = replace(model, tie_points=ties)
    shutil.rmtree(work)
    return replace(model, tie_points=tie_points.thin(model, _PASSED_ON_A_PHOTO))


@dataclass(frozen=True)
class _Colmap:
    """The program, and where it says what it does."""

    program: Path
    log: Path

    def perform(
        self, command: str, options: dict[str, object], run: Run, *, photos: int = 0
    ) -> None:
        """Run one command to its end; progress counts the photos that it says it placed."""

        def report() -> None:
            told = _REGISTERED.findall(self.log.read_bytes()) if photos else []
            placed = int(told[-1]) if told else 0
            run.progress(min(1.0, placed / max(1, photos)), f"COLMAP: {command}")

        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        words = [str(self.program), command, *arguments]
        try:
            code = execute(words, self.log, report, os.environ | _NO_SCREEN)
        except OSError as error:
            raise StageError(
                STAGE_NAME,
                f"The program {self.program} cannot be started: {error.strerror}.",
                "Install COLMAP again, or choose another --engine.",
            ) from error
        if code != 0 and _NOTHING in self.log.read_bytes():
            raise not_put_together(photos)
        if code != 0:
            raise StageError(
                STAGE_NAME,
                f"COLMAP's command {command} {ending(code, self.log)}",
                f"All that it wrote is in {self.log}. If memory ran short, take fewer --jobs; "
                "else choose another --engine.",
            )


def _map(colmap: _Colmap, work: Path, inputs: SfmInputs, run: Run) -> None:
    free_focal = int(any(photo.focal_px is None for photo in inputs.photos))
    (work / "models").mkdir()
    options = {
        "database_path": work / "colmap.db",
        # It looks at the photos for their colours only, which nobody asks for.
        "image_path": work,
        "output_path": work / "models",
        "random_seed": _SEED,
        "Mapper.extract_colors": 0,
        "Mapper.min_model_size": 3,
        "Mapper.num_threads": run.jobs,
        "Mapper.ba_refine_focal_length": free_focal,
    }
    colmap.perform("mapper", options, run, photos=len(inputs.photos))


def _whole(
    colmap: _Colmap, work: Path, inputs: SfmInputs, chosen: MapperTracks, run: Run
) -> SparseModel:
    """The models that were found, joined as far as they can be, and what to say of them."""
    models = []
    for number, found in enumerate(sorted((work / "models").iterdir())):
        text = work / f"text{number}"
        text.mkdir()
        options = {"input_path": found, "output_path": text, "output_type": "TXT"}
        colmap.perform("model_converter", options, run)
        try:
            models.append(colmap_files.read_model(text, inputs.photos))
        except (ValueError, LookupError) as error:
            raise StageError(
                STAGE_NAME,
                f"COLMAP's model cannot be read: {type(error).__name__}, {error}.",
                f"The program {colmap.program} may be of a version that is not known here: "
                "take one from 3.7 to 3.11, or choose another --engine.",
            ) from error
    count = len(inputs.photos)
    whole = join([chosen.part(model) for model in models]) if models else None
    if whole is None or len(whole.shots) < min(3, count):
        raise not_put_together(count)
    left_out = unplaced(inputs.photos, {shot.name for shot in whole.shots})
    return replace(whole, notes=(*whole.notes, *left_out))
