"""Bases that are surfaces of their own: an earlier survey, a stored yard floor, a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volumetrics.base_surface import BaseSurface
from volumetrics.errors import BaseError, ToeError
from volumetrics.grid import Array, Grid
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.survey import Survey
from volumetrics.tin import Tin
from volumetrics.toe import ToeSamples


@dataclass(frozen=True)
class SurfaceBase:
    """Another surface as the base.

    Both surfaces keep their own noise and vertical bias: nothing cancels.

    Parameters
    ----------
    name : str
        ``survey`` for a measured surface, ``design`` for one that is exact by definition.
    survey : Survey
        In the same CRS and vertical datum as the pile's surface. A measured surface that states
        no noise is taken to be as noisy as the pile's own.
    """

    name: str
    survey: Survey

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Read the surface below the grid; see `volumetrics.base_surface.BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        is_exact = self.name == "design"
        own = PERFECT if is_exact else self.survey.noise or noise
        return BaseSurface(
            self.name,
            self._below(grid),
            lambda load: nothing,
            offset_sigma_m=0.0 if is_exact else self.survey.vertical_sigma_m,
            is_anchored=False,
            noise=own,
        )

    def _below(self, grid: Grid) -> Array:
        """Its elevations at the cell centres of the grid, bilinear."""
        x, y = np.meshgrid(grid.x_m(), grid.y_m())
        bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
        try:
            other = self.survey.window(bounds, 2.0 * self.survey.cell_size_m)
        except ToeError as error:
            raise BaseError(
                f"The base surface {self.survey.dsm_path} does not reach this pile.",
                "Give the surface of the same site, in the same CRS.",
            ) from error
        stencil = other.stencil(np.column_stack((x.ravel(), y.ravel())))
        return stencil.sample(other.elevation_m).reshape(x.shape)


# Triangles that share an edge agree along it to rounding.
_AGREE_M = 0.01


@dataclass(frozen=True)
class DesignBase:
    """Designed triangles as the base: exact by definition.

    Parameters
    ----------
    tin : Tin
        In the CRS and vertical datum of the pile's surface.
    """

    tin: Tin
    name: str = "design"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Evaluate the triangles on the grid; see `volumetrics.base_surface.BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        elevation = self.tin.elevation_m(grid)
        # Drawn in the other order, another one of two surfaces would come out on top.
        reverse = Tin(self.tin.points_m, self.tin.triangles[::-1]).elevation_m(grid)
        apart_m = np.abs(elevation - reverse)
        if np.nanmax(apart_m, initial=0.0) > _AGREE_M:
            raise BaseError(
                f"Triangles of the design lie over each other, up to {np.nanmax(apart_m):.2f} m "
                "apart.",
                "Export one surface only.",
            )
        return BaseSurface(self.name, elevation, lambda load: nothing, is_anchored=False)
