"""The point cloud: tiles of dense points become one Cloud Optimized Point Cloud, less outliers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reconstruction import bucket_cloud, pdal_cloud
from reconstruction.errors import OptionError, StageError
from reconstruction.pdal_cloud import Pdal
from reconstruction.point_tile import PointTile
from reconstruction.stage import Run, Stage

NAME = "point_cloud"
_FACTS = "point_cloud.json"


@dataclass(frozen=True)
class PointCloudOptions:
    """How the point cloud is cleaned.

    Parameters
    ----------
    sparse_share : float
        A point is an outlier if it has fewer neighbours than this share of what points of its tile
        usually have. 0 keeps all points.
    pdal : Pdal or None
        Filters and writes the cloud instead of this package's own code.
    """

    sparse_share: float = 0.1
    pdal: Pdal | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.sparse_share < 1.0:
            raise OptionError(
                f"A sparse share of {self.sparse_share} is out of range.", "Choose 0 to below 1."
            )


@dataclass(frozen=True)
class PointCloudInputs:
    """What the point cloud is made of.

    Parameters
    ----------
    tiles : tuple of PointTile
    epsg : int
        CRS of the tiles, projected in metres.
    """

    tiles: tuple[PointTile, ...]
    epsg: int


@dataclass(frozen=True)
class PointCloud:
    """A finished point cloud.

    Parameters
    ----------
    path : Path
        The ``.copc.laz`` file.
    count : int
        Points in it.
    outlier_count : int
        Points that were left out.
    written_by : str
        The engine: ``cairn``, or ``PDAL`` with its version.
    """

    path: Path
    count: int
    outlier_count: int
    written_by: str


def run(inputs: PointCloudInputs, options: PointCloudOptions, folder: Path, run: Run) -> PointCloud:
    """Make ``point_cloud.copc.laz``.

    Raises
    ------
    StageError
        There are no points, or none of them has neighbours.
    """
    total = sum(tile.count for tile in inputs.tiles)
    if total == 0:
        raise StageError(NAME, "The dense surface has no points.", "Look at its stage's messages.")
    write, written_by = bucket_cloud.write_cloud, "cairn"
    if options.pdal:
        write = partial(pdal_cloud.write_cloud, pdal=options.pdal)
        written_by = f"PDAL {options.pdal.version}"
    path = folder / "point_cloud.copc.laz"
    count = write(inputs.tiles, inputs.epsg, options.sparse_share, path, run)
    if count == 0:
        raise StageError(NAME, "No point has neighbours.", "Look at the dense stage's messages.")
    facts = {"count": count, "outlier_count": total - count, "written_by": written_by}
    (folder / _FACTS).write_text(json.dumps(facts))
    return load(folder)


def load(folder: Path) -> PointCloud:
    """The point cloud of a finished folder."""
    return PointCloud(folder / "point_cloud.copc.laz", **json.loads((folder / _FACTS).read_text()))


POINT_CLOUD: Stage[PointCloudInputs, PointCloudOptions, PointCloud] = Stage(NAME, 2, 0.5, run, load)
