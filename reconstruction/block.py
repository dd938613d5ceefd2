"""The block: photos whose place in space is known, and the tie points that hold them together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TiePoints:
    """Points seen in several photos, and where.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        World coordinates, in the frame of the shots.
    shot_index, point_index : ndarray of int32, shape (m,)
        One entry an observation: index into the list of shots and into ``points``.
    pixels : ndarray, shape (m, 2)
        Observed ``x, y``, pixels of the full image, pixel centres at integers.
    noise_px : ndarray, shape (m,), or None
        Standard deviation of a coordinate by what the photos show there, up to a factor that all
        share; None where nothing is known of it.
    """

    points: Array
    shot_index: NDArray[np.int32]
    point_index: NDArray[np.int32]
    pixels: Array
    noise_px: Array | None = None

    def only(self, kept: NDArray[np.bool_]) -> TiePoints:
        """Some observations (m,) and the points that they are of."""
        used, number = np.unique(self.point_index[kept], return_inverse=True)
        return TiePoints(
            self.points[used],
            self.shot_index[kept],
            number.astype(np.int32),
            self.pixels[kept],
            None if self.noise_px is None else self.noise_px[kept],
        )


@dataclass(frozen=True)
class SparseModel:
    """What structure from motion gives: shape without place, scale or up.

    Parameters
    ----------
    cameras : dict of str to Camera
    shots : tuple of Shot
        Registered photos only; the world frame is arbitrary.
    tie_points : TiePoints
    notes : tuple of str
        What a surveyor should know, such as sub-models that were dropped.
    """

    cameras: dict[str, Camera]
    shots: tuple[Shot, ...]
    tie_points: TiePoints
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``sparse.json`` and ``tie_points.npz`` into a folder."""
        _save(self, folder, {"notes": self.notes})

    @classmethod
    def load(cls, folder: Path) -> SparseModel:
        """The inverse of `save`."""
        values = json.loads((folder / "sparse.json").read_text())
        return cls(*_parts(values, folder), tuple(values["notes"]))


@dataclass(frozen=True)
class Block:
    """A `SparseModel` that has been adjusted to positions and control: the result of
    georeferencing and all that the dense surface and the pictures need.

    Parameters
    ----------
    frame : LocalFrame
        The frame that shots and tie points are in.
    cameras : dict of str to Camera
    shots : tuple of Shot
    tie_points : TiePoints
    """

    frame: LocalFrame
    cameras: dict[str, Camera]
    shots: tuple[Shot, ...]
    tie_points: TiePoints

    def save(self, folder: Path) -> None:
        """Write ``sparse.json`` and ``tie_points.npz`` into a folder."""
        _save(self, folder, {"frame": self.frame.to_json()})

    @classmethod
    def load(cls, folder: Path) -> Block:
        """The inverse of `save`."""
        values = json.loads((folder / "sparse.json").read_text())
        return cls(LocalFrame.from_json(values["frame"]), *_parts(values, folder))

    def points_of(self, shot_index: int) -> Array:
        """Tie points that a shot sees, local coordinates, shape (k, 3)."""
        seen = self.tie_points.point_index[self.tie_points.shot_index == shot_index]
        return self.tie_points.points[seen]


def _save(model: SparseModel | Block, folder: Path, more: dict[str, object]) -> None:
    values = {
        "cameras": [asdict(camera) for camera in model.cameras.values()],
        "shots": [shot.to_json() for shot in model.shots],
        **more,
    }
    (folder / "sparse.json").write_text(json.dumps(values))
    arrays = {key: array for key, array in vars(model.tie_points).items() if array is not None}
    np.savez(folder / "tie_points.npz", **arrays)


def _parts(
    values: dict[str, list[dict[str, object]]], folder: Path
) -> tuple[dict[str, Camera], tuple[Shot, ...], TiePoints]:
    cameras = {str(item["name"]): Camera(**item) for item in values["cameras"]}  # type: ignore[arg-type]
    shots = tuple(Shot.from_json(item) for item in values["shots"])
    with np.load(folder / "tie_points.npz") as arrays:
        ties = TiePoints(**arrays)
    return cameras, shots, ties
