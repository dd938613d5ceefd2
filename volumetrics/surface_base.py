"""Bases that are surfaces of their own: an earlier survey, a stored yard floor, a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volumetrics.alignment import Alignment
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

    Both surfaces keep their own noise. A vertical bias cancels where the pile's survey was laid
    onto the other over ground that did not change, and what that leaves in doubt counts instead;
    else the biases of both count.

    Parameters
    ----------
    name : str
        ``survey`` for a measured surface, ``design`` for one that is exact by definition.
    survey : Survey
        In the same CRS and vertical datum as the pile's surface. A measured surface that states
        no noise is taken to be as noisy as the pile's own.
    alignment : Alignment, optional
        How the pile's survey lies on the other one.
    """

    name: str
    survey: Survey
    alignment: Alignment | None = None

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Read the surface below the grid; see `volumetrics.base_surface.BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        is_exact = self.name == "design"
        own = PERFECT if is_exact else self.survey.noise or noise
        facts = self._moved(grid)
        sigma_m = facts.get("moved_up_sigma_m", self.survey.vertical_sigma_m)
        return BaseSurface(
            self.name,
            self._below(grid),
            lambda load: nothing,
            offset_sigma_m=0.0 if is_exact else sigma_m,
            is_anchored=False,
            is_aligned=self.alignment is not None,
            noise=own,
            facts=facts,
        )

    def _moved(self, grid: Grid) -> dict[str, float]:
        """How the base is moved in the middle of a grid, for the report."""
        if self.alignment is None:
            return {}
        east_m, north_m = self.alignment.shift_m
        middle_m = np.array([grid.x_m().mean() - east_m, grid.y_m().mean() - north_m])
        return {
            "moved_east_m": float(east_m),
            "moved_north_m": float(north_m),
            "moved_up_m": float(self.alignment.offset_m(*middle_m)),
            "moved_up_sigma_m": self.alignment.offset_sigma_m(middle_m),
        }

    def _below(self, grid: Grid) -> Array:
        """Its elevations at the cell centres of the grid, bilinear, moved as it lies there."""
        x, y = np.meshgrid(grid.x_m(), grid.y_m())
        if self.alignment is not None:
            x, y = x - self.alignment.shift_m[0], y - self.alignment.shift_m[1]
        bounds = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
        try:
            other = self.survey.window(bounds, 2.0 * self.survey.cell_size_m)
        except ToeError as error:
            raise BaseError(
                f"The base surface {self.survey.dsm_path} does not reach this pile.",
                "Give the surface of the same site, in the same CRS.",
            ) from error
        stencil = other.stencil(np.column_stack((x.ravel(), y.ravel())))
        elevation = stencil.sample(other.elevation_m).reshape(x.shape)
        return elevation if self.alignment is None else elevation + self.alignment.offset_m(x, y)


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
