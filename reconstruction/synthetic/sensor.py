"""The sensor: from light to the bytes of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera
from reconstruction.synthetic.grid import Raster


@dataclass(frozen=True)
class Exposure:
    """What differs from photo to photo.

    Parameters
    ----------
    gain : float
        Brightness of level ground relative to a good exposure.
    seed : tuple of int
        Of the sensor noise.
    """

    gain: float
    seed: tuple[int, ...]


_BLUR_PX = 0.5
_READ_NOISE = 0.0035
_SHOT_NOISE = 0.00025
_VIGNETTING = 0.42


def develop(light: Raster, camera: Camera, exposure: Exposure) -> NDArray[np.uint8]:
    """The photo that a camera makes of the light on its sensor.

    Lens blur, the fall of light toward the corners, photon and read noise, a tone curve.

    Parameters
    ----------
    light : ndarray of float32, shape (height, width, 3)
        Overwritten.
    camera : Camera
    exposure : Exposure

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Red, green, blue.
    """
    cv2.GaussianBlur(light, (5, 5), _BLUR_PX, dst=light)
    light *= (exposure.gain * _falloff(camera))[..., None]
    noise = np.random.default_rng(exposure.seed).standard_normal(light.shape, dtype=np.float32)
    noise *= np.sqrt(_READ_NOISE**2 + _SHOT_NOISE * np.maximum(light, 0.0))
    light += noise
    return np.asarray(_TONES[np.clip(light * 2048.0, 0, 4095).astype(np.uint16)])


def _falloff(camera: Camera) -> Raster:
    """Relative light over the image: between cos² and cos⁴ of the angle off the axis."""
    x = (np.arange(camera.width_px, dtype=np.float32) - camera.cx_px) / camera.focal_px
    y = (np.arange(camera.height_px, dtype=np.float32) - camera.cy_px) / camera.focal_px
    r2 = (x * x)[None, :] + (y * y)[:, None]
    return np.asarray(1.0 / (1.0 + _VIGNETTING * r2) ** 2, dtype=np.float32)


def _tone_table() -> NDArray[np.uint8]:
    """Code values of 4096 steps of light up to twice the white point, with a soft shoulder."""
    light = (np.arange(4096) + 0.5) / 2048.0
    shouldered = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3))
    coded = np.where(
        shouldered < 0.0031308, 12.92 * shouldered, 1.055 * shouldered ** (1 / 2.4) - 0.055
    )
    return np.asarray(np.clip(coded * 255.0 + 0.5, 0, 255), dtype=np.uint8)


_TONES = _tone_table()
