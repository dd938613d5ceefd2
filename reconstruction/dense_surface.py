"""The dense surface: what the dense stage leaves, and how it is written down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reconstruction.point_tile import PointTile
from reconstruction.rasters import Grid


@dataclass(frozen=True)
class PairFacts:
    """What became of one stereo pair.

    Parameters
    ----------
    left, right : str
        Photo names.
    overlap, base_to_depth : float
        As in `StereoPair`.
    matched : float
        Share of the common picture that was matched; 0 for a rejected pair.
    """

    left: str
    right: str
    overlap: float
    base_to_depth: float
    matched: float


@dataclass(frozen=True)
class DenseSurface:
    """The output of the dense stage.

    Parameters
    ----------
    tiles : tuple of PointTile
        Only tiles with points, north to south. Their files also hold what `dsm` needs.
    grid : Grid
        The cells of the surface; every point lies over a cell's centre.
    gsd_m : float
        Mean ground sampling distance of the photos.
    pairs : tuple of PairFacts
    """

    tiles: tuple[PointTile, ...]
    grid: Grid
    gsd_m: float
    pairs: tuple[PairFacts, ...]

    def save(self, folder: Path) -> None:
        """Write ``dense.json``; tiles are named relative to the folder."""
        values = {
            "tiles": [
                {"path": tile.path.name, "bounds": tile.bounds, "count": tile.count}
                for tile in self.tiles
            ],
            "grid": asdict(self.grid),
            "gsd_m": self.gsd_m,
            "pairs": [asdict(pair) for pair in self.pairs],
        }
        (folder / "dense.json").write_text(json.dumps(values, indent=1))

    @property
    def has_points(self) -> bool:
        """Whether the points are all still there."""
        return all(tile.path.exists() for tile in self.tiles)

    def forget_points(self) -> None:
        """Remove the points: they are more than half of a finished survey, and nothing reads them.

        To be made anew for another surface model or point cloud.
        """
        for tile in self.tiles:
            tile.path.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> DenseSurface:
        """The inverse of `save`."""
        values: dict[str, Any] = json.loads((folder / "dense.json").read_text())
        tiles = tuple(
            PointTile(folder / item["path"], tuple(item["bounds"]), item["count"])
            for item in values["tiles"]
        )
        pairs = tuple(PairFacts(**item) for item in values["pairs"])
        return cls(tiles, Grid(**values["grid"]), values["gsd_m"], pairs)
