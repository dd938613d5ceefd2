"""Structure from motion: engines with one result type.

An engine turns photos into a `reconstruction.block.SparseModel`. It is chosen by name, and what
it needs from the outside is looked for before any work starts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reconstruction.block import SparseModel
from reconstruction.errors import OptionError, StageError
from reconstruction.features import FeatureFiles
from reconstruction.matches import MatchSet
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage

ENGINES = ("colmap", "colmap-cli", "opensfm")

STAGE_NAME = "sfm"
FOCAL_GUESS = 0.7  # of the longer side: 25 mm on a 36 mm frame, as most survey drones have


@dataclass(frozen=True)
class SfmInputs:
    """What every engine gets.

    Parameters
    ----------
    photos : tuple of Photo
    features : FeatureFiles
    matches : MatchSet
        Both are empty for an engine that finds its own (see `finds_own_features`).
    """

    photos: tuple[Photo, ...]
    features: FeatureFiles = FeatureFiles(Path(), {}, {})  # noqa: RUF009 - frozen
    matches: MatchSet = MatchSet(())  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class SfmOptions:
    """Which engine works.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    program : str or None
        Where the program of an engine is, if it is one; None looks on the PATH.
    """

    engine: str = "colmap"
    program: str | None = None


Engine = Callable[[SfmInputs, Path, Run], SparseModel]


def choose_engine(name: str, program: str | None = None) -> Engine:
    """The function of an engine, ready to work.

    Parameters
    ----------
    name : str
        One of `ENGINES`.
    program : str or None
        As in `SfmOptions`.

    Raises
    ------
    OptionError
        For an unknown engine, and for one whose programs or libraries are not installed.
    """
    if name not in ENGINES:
        raise OptionError(f"There is no engine '{name}'.", f"Choose one of: {', '.join(ENGINES)}.")
    if name == "opensfm":
        from reconstruction.sfm import opensfm

        return partial(opensfm.reconstruct, program=opensfm.require(program))
    from reconstruction.sfm import colmap_cli

    if _is_colmaps_program(name):
        return partial(colmap_cli.reconstruct, program=colmap_cli.require())
    from reconstruction.sfm import colmap

    colmap.require()
    return colmap.reconstruct


def program_versions(engine: str) -> dict[str, str]:
    """Versions of the programs that an engine is; those of libraries are `tool_versions`."""
    from reconstruction.sfm import colmap_cli

    if not _is_colmaps_program(engine):
        return {}
    return {"colmap": colmap_cli.version(colmap_cli.require())}


def _is_colmaps_program(engine: str) -> bool:
    """Whether COLMAP's program works; where its library is installed, that is faster."""
    from reconstruction.sfm import colmap_cli

    is_only_program = not has_pycolmap() and colmap_cli.find() is not None
    return engine == "colmap-cli" or (engine == "colmap" and is_only_program)


def has_pycolmap() -> bool:
    """Whether COLMAP's library is installed."""
    return importlib.util.find_spec("pycolmap") is not None


def finds_own_features(engine: str) -> bool:
    """Whether an engine finds and matches features of its own, so that nobody else need."""
    return engine == "opensfm"


def not_put_together(count: int) -> StageError:
    """The error of an engine that found no model of ``count`` photos."""
    return StageError(
        STAGE_NAME,
        f"The {count} photos could not be put together.",
        "Check that neighbouring photos overlap by 60 % or more, are sharp, and show "
        "something else than water or moving leaves.",
    )


def unplaced(photos: tuple[Photo, ...], registered: Collection[str]) -> list[str]:
    """What to say of the photos that are not among the registered names; nothing if all are."""
    missing = [photo.name for photo in photos if photo.name not in registered]
    if not missing:
        return []
    return [f"{len(missing)} of {len(photos)} photos could not be placed: {', '.join(missing)}."]


def run(inputs: SfmInputs, options: SfmOptions, folder: Path, run: Run) -> SparseModel:
    """Reconstruct with the chosen engine."""
    model = choose_engine(options.engine, options.program)(inputs, folder, run)
    model.save(folder)
    return model


SFM: Stage[SfmInputs, SfmOptions, SparseModel] = Stage(STAGE_NAME, 1, 0.5, run, SparseModel.load)
