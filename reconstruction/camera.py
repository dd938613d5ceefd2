"""Cameras: the geometry of one photo, from a point in space to a pixel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Interior orientation of one physical camera at one image size.

    The lens model is Brown-Conrady with square pixels. Pixel coordinates are ``x, y`` with the
    **centre** of the upper left pixel at (0, 0), as OpenCV has it; COLMAP's are larger by 0.5.

    Parameters
    ----------
    name : str
        Key of the camera in a block.
    width_px, height_px : int
        Size of its images.
    focal_px, cx_px, cy_px : float
        Focal length and principal point, pixels.
    k1, k2, k3, p1, p2 : float
        Radial and tangential distortion (no unit).
    readout_s : float
        Time from the first to the last row (rolling shutter), 0 for all rows at once; negative
        where the last row is read first.

    References
    ----------
    .. [1] D. C. Brown, "Close-range camera calibration", Photogrammetric Engineering 37(8), 1971.
    """

    name: str
    width_px: int
    height_px: int
    focal_px: float
    cx_px: float
    cy_px: float
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    readout_s: float = 0.0

    @property
    def matrix(self) -> Array:
        """Camera matrix K, shape (3, 3)."""
        return np.array(
            [[self.focal_px, 0.0, self.cx_px], [0.0, self.focal_px, self.cy_px], [0.0, 0.0, 1.0]]
        )

    @property
    def distortion(self) -> Array:
        """Distortion in OpenCV's order k1, k2, p1, p2, k3, shape (5,)."""
        return np.array([self.k1, self.k2, self.p1, self.p2, self.k3])

    @property
    def intrinsics(self) -> Array:
        """Focal length, principal point x and y, k1, k2, k3, p1, p2, shape (8,)."""
        return np.array(
            [self.focal_px, self.cx_px, self.cy_px, self.k1, self.k2, self.k3, self.p1, self.p2]
        )

    def project(self, points: Array) -> Array:
        """Pixels of points given in the camera's axes.

        Parameters
        ----------
        points : ndarray, shape (n, 3)
            x right, y down, z forward; any length unit, z > 0.

        Returns
        -------
        ndarray, shape (n, 2)
            ``x, y`` in pixels.

        Examples
        --------
        >>> Camera("c", 400, 300, 350.0, 199.5, 149.5).project(np.array([[0.1, 0.0, 1.0]]))
        array([[234.5, 149.5]])
        """
        x = points[:, 0] / points[:, 2]
        y = points[:, 1] / points[:, 2]
        r2 = x * x + y * y
        radial = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        xd = x * radial + 2.0 * self.p1 * x * y + self.p2 * (r2 + 2.0 * x * x)
        yd = y * radial + self.p1 * (r2 + 2.0 * y * y) + 2.0 * self.p2 * x * y
        return np.column_stack((self.focal_px * xd + self.cx_px, self.focal_px * yd + self.cy_px))

    def scaled(self, factor: float) -> Camera:
        """The same camera with images ``factor`` times as large (0.5 halves them)."""
        return replace(
            self,
            width_px=round(self.width_px * factor),
            height_px=round(self.height_px * factor),
            focal_px=self.focal_px * factor,
            cx_px=(self.cx_px + 0.5) * factor - 0.5,
            cy_px=(self.cy_px + 0.5) * factor - 0.5,
        )


@dataclass(frozen=True)
class Shot:
    """Exterior orientation of one photo.

    Parameters
    ----------
    name : str
        Photo name: its path relative to the photo folder, with forward slashes.
    camera : str
        Name of its `Camera`.
    rotation : ndarray, shape (3, 3)
        World axes to camera axes (x right, y down, z forward).
    centre : ndarray, shape (3,)
        Projection centre in world coordinates, while the middle row was read.
    velocity_m_s : ndarray, shape (3,)
        Of the centre, metres a second in world axes; 0 where it is unknown.
    """

    name: str
    camera: str
    rotation: Array
    centre: Array
    velocity_m_s: Array = field(default_factory=lambda: np.zeros(3))

    def to_camera(self, points: Array) -> Array:
        """World points (n, 3) in the camera's axes."""
        return (points - self.centre) @ self.rotation.T

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "name": self.name,
            "camera": self.camera,
            "rotation": self.rotation.tolist(),
            "centre": self.centre.tolist(),
            "velocity_m_s": self.velocity_m_s.tolist(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Shot:
        """The inverse of `to_json`."""
        return cls(
            values["name"],
            values["camera"],
            np.array(values["rotation"], dtype=np.float64),
            np.array(values["centre"], dtype=np.float64),
            np.array(values.get("velocity_m_s", (0.0, 0.0, 0.0)), dtype=np.float64),
        )
