"""The focal length that a photo's metadata state, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reconstruction.sensors import find_sensor
from reconstruction.tags import Tags, number, positive

# One standard deviation, relative. What is engraved on a lens is a per cent or two off; where
# nothing shows that the photo is the sensor's whole picture, it may have been cropped or scaled.
_WHOLE_SIGMA = 0.03
_DOUBTFUL_SIGMA = 0.1
# Two statements within this share are of one focal length: equivalents are whole millimetres.
_AGREEMENT = 0.04

_FULL_FRAME_WIDTH_MM = 36.0
_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_MM_PER_RESOLUTION_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


@dataclass(frozen=True)
class FocalLength:
    """A focal length as stated.

    Parameters
    ----------
    px : float
        Pixels of the photo.
    sigma : float
        One standard deviation, as a share of it.
    """

    px: float
    sigma: float


def read_focal_length(
    model: str, exif: Tags, xmp: Tags, size: tuple[int, int]
) -> FocalLength | None:
    """Focal length from the best source that is there and plausible, None without any.

    In this order: the maker's calibration, the sensor's width, the focal plane resolution, the
    35 mm equivalent (rounded to a millimetre by most makers, so 2 to 5 % off). Sources that tell
    the size of a pixel hold for a crop and not for a reduced copy; those that tell the width of
    the sensor, the other way round. Where one of each agree, the photo is whole.

    Parameters
    ----------
    model : str
    exif, xmp : mapping
        Tags by name.
    size : tuple of int
        Width and height of the photo in pixels.
    """
    long_px = max(size)
    focal_mm = positive(exif.get("FocalLength"))
    zoom = max(1.0, positive(exif.get("DigitalZoomRatio")) or 1.0)
    sensor = find_sensor(model)
    maker_px = positive(xmp.get("drone-dji:CalibratedFocalLength")) or 0.0
    pitch_mm = _pixel_pitch_mm(exif)
    plane_px = focal_mm / pitch_mm * zoom if focal_mm and pitch_mm else 0.0
    sensor_share = focal_mm / sensor.width_mm * zoom if focal_mm and sensor else 0.0
    equivalent_px = _equivalent_px(exif, long_px, min(size))

    reduction = _reduction(exif, long_px)
    by_preference = (
        maker_px * reduction, sensor_share * long_px, plane_px * reduction, equivalent_px
    )  # fmt: skip
    # Between a fisheye and a long telephoto lens: anything else is a wrong tag, or none.
    best_px = next((px for px in by_preference if 0.25 < px / long_px < 20.0), None)
    if best_px is None:
        return None
    of_pixels = (maker_px, plane_px, sensor_share * sensor.width_px if sensor else 0.0)
    of_width = (sensor_share * long_px, equivalent_px)
    whole = _agree(best_px, of_pixels) and _agree(best_px, of_width)
    return FocalLength(best_px, _WHOLE_SIGMA if whole else _DOUBTFUL_SIGMA)


def _agree(focal_px: float, others_px: tuple[float, ...]) -> bool:
    return any(abs(other_px / focal_px - 1.0) < _AGREEMENT for other_px in others_px)


def _reduction(exif: Tags, long_px: int) -> float:
    """How much smaller the photo is than its camera made it."""
    sides_px = (positive(exif.get(f"ExifImage{side}")) for side in ("Width", "Height"))
    made_px = max(side_px or 0.0 for side_px in sides_px)
    return long_px / made_px if made_px else 1.0


def _pixel_pitch_mm(exif: Tags) -> float | None:
    per_unit = positive(exif.get("FocalPlaneXResolution"))
    unit = number(exif.get("FocalPlaneResolutionUnit"))
    unit_mm = _MM_PER_RESOLUTION_UNIT.get(int(unit) if unit is not None else 2)
    return unit_mm / per_unit if unit_mm and per_unit else None


def _equivalent_px(exif: Tags, long_px: int, short_px: int) -> float:
    """Pixels of a 35 mm equivalent focal length, 0 without one.

    The standard compares diagonals [1]_. A photo wider than 3:2 is a crop of the sensor's
    height, so there the width is compared, which is the same thing at 3:2.

    References
    ----------
    .. [1] CIPA DCG-001, "Guideline for noting digital camera specifications in catalogs".
    """
    equivalent_mm = positive(exif.get("FocalLengthIn35mmFilm")) or 0.0
    if long_px / short_px > 1.5:
        return equivalent_mm / _FULL_FRAME_WIDTH_MM * long_px
    return equivalent_mm / _FULL_FRAME_DIAGONAL_MM * math.hypot(long_px, short_px)
