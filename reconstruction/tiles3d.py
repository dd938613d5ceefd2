"""The textured 3D model of a survey: its surface as tiles, with the pictures that photos give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.charts import Atlas
from reconstruction.errors import OptionError
from reconstruction.exposure import Exposures
from reconstruction.once import once
from reconstruction.rasters import RasterReader
from reconstruction.stage import Run, Stage
from reconstruction.surface import Surface
from reconstruction.texture import bake
from reconstruction.texture_views import Views
from reconstruction.tile_tree import NAME, Array, Bounds, Ground, Model3D, load, write
from reconstruction.visibility import Visibility

_BUFFER_SCALE = 0.25
# Holes up to this far from measured ground hide what is behind them, as if closed.
_FILL_M = 2.0


@dataclass(frozen=True)
class ModelInputs:
    """What the model is made of.

    Parameters
    ----------
    block : Block
    photos : mapping of str to Path
        File of each shot, by its name.
    exposures : Exposures
    dsm : Path
        Elevations, a raster with holes.
    gsd_m : float
        Mean ground sampling distance of the photos.
    geoid_height_m : float
        Height of the survey's vertical datum above the ellipsoid; 0 for ellipsoidal elevations.
    """

    block: Block
    photos: Mapping[str, Path]
    exposures: Exposures
    dsm: Path
    gsd_m: float
    geoid_height_m: float = 0.0


@dataclass(frozen=True)
class ModelOptions:
    """How fine the model is.

    Parameters
    ----------
    tolerance_cells : float
        Largest distance of the surface from the finest mesh, in cells of the DSM.
    texel_gsd : float
        Size of the finest texels, in ground sampling distances; never finer than a quarter cell.
    jpeg_quality : int
        Of the pictures.
    """

    tolerance_cells: float = 0.5
    texel_gsd: float = 1.0
    jpeg_quality: int = 85

    def __post_init__(self) -> None:
        if not (0.0 < self.tolerance_cells <= 16.0 and 0.25 <= self.texel_gsd <= 64.0):
            raise OptionError(
                f"A tolerance of {self.tolerance_cells} cells with texels of {self.texel_gsd} "
                "ground sampling distances is out of range.",
                "Choose up to 16 cells and 0.25 to 64 ground sampling distances.",
            )

    @classmethod
    def for_quality(cls, quality: str) -> ModelOptions:
        """Options of ``preview``, ``standard`` or ``high``.

        Raises
        ------
        OptionError
            Another word.
        """
        known = {
            "preview": cls(1.0, 2.0, 80),
            "standard": cls(0.5, 1.0, 85),
            "high": cls(0.5, 1.0, 90),
        }
        if quality not in known:
            raise OptionError(
                f"There is no quality {quality!r}.", f"Choose one of {', '.join(known)}."
            )
        return known[quality]


@dataclass(frozen=True)
class _Painter:
    """Paints tiles with photos: a `reconstruction.tile_tree.Paint`."""

    inputs: ModelInputs

    def __reduce__(self) -> tuple[type[_Painter], tuple[Any, ...]]:
        return _Painter, (self.inputs,)

    @once
    def views(self) -> Views:
        """The photos, as they see the surface."""
        inputs = self.inputs
        with RasterReader(inputs.dsm) as dsm:
            surface = Surface.from_raster(dsm, inputs.gsd_m / _BUFFER_SCALE, _FILL_M)
        visibility = Visibility(inputs.block, surface, _BUFFER_SCALE)
        return Views(visibility, inputs.photos, inputs.exposures)

    def __call__(self, points: Array, atlas: Atlas, texel_m: float) -> NDArray[np.uint8]:
        return bake(self.views, points, atlas, texel_m)

    def reads(self, bounds: Bounds) -> list[Path]:
        """The photos that a tile within these bounds may show."""
        shots = self.inputs.block.shots
        near = self.views.touching(*bounds)
        return [self.inputs.photos[shots[index].name] for index in near]


def build(inputs: ModelInputs, options: ModelOptions, folder: Path, run: Run) -> Model3D:
    """Write ``tileset.json`` and its tiles into a folder.

    Raises
    ------
    StageError
        The DSM has no piece large enough to show.
    """
    painter = _Painter(inputs)
    ground = Ground(
        inputs.block.frame,
        inputs.dsm,
        painter,
        options.texel_gsd * inputs.gsd_m,
        options.tolerance_cells,
        options.jpeg_quality,
        inputs.geoid_height_m,
    )
    return write(ground, folder, run, painter.reads)


MODEL: Stage[ModelInputs, ModelOptions, Model3D] = Stage(NAME, 1, 0.6, build, load)
