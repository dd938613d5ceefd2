"""Structure from motion: engines with one result type.

An engine turns photos into a `reconstruction.block.SparseModel`. It is chosen by name, and what
it needs from the outside is looked for before any work starts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconstruction.block import SparseModel
from reconstruction.errors import OptionError
from reconstruction.features import FeatureFiles
from reconstruction.matches import MatchSet
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage

ENGINES = ("colmap", "opensfm")

STAGE_NAME = "sfm"


@dataclass(frozen=True)
class SfmInputs:
    """What every engine gets.

    Parameters
    ----------
    photos : tuple of Photo
    features : FeatureFiles
    matches : MatchSet
    """

    photos: tuple[Photo, ...]
    features: FeatureFiles
    matches: MatchSet


@dataclass(frozen=True)
class SfmOptions:
    """Which engine works.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    """

    engine: str = "colmap"


Engine = Callable[[SfmInputs, Path, Run], SparseModel]


def choose_engine(name: str) -> Engine:
    """The function of an engine, ready to work.

    Parameters
    ----------
    name : str
        One of `ENGINES`.

    Raises
    ------
    OptionError
        For an unknown engine, and for one whose programs or libraries are not installed.
    """
    if name not in ENGINES:
        raise OptionError(f"There is no engine '{name}'.", f"Choose one of: {', '.join(ENGINES)}.")
    module = importlib.import_module(f"reconstruction.sfm.{name}")
    module.require()
    engine: Engine = module.reconstruct
    return engine


def run(inputs: SfmInputs, options: SfmOptions, folder: Path, run: Run) -> SparseModel:
    """Reconstruct with the chosen engine."""
    model = choose_engine(options.engine)(inputs, folder, run)
    model.save(folder)
    return model


SFM: Stage[SfmInputs, SfmOptions, SparseModel] = Stage(STAGE_NAME, 1, 0.5, run, SparseModel.load)
