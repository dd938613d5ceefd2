"""Photos to test with: files with planted metadata, and flights that are only described."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reconstruction.images import PhotoFolder, read_flight
from reconstruction.photo import Photo, Position
from reconstruction.quality import PhotoQuality
from reconstruction.stage import Run

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"
METRES_PER_DEGREE = np.deg2rad(1.0) * 6_371_000.0


def texture(width: int, height: int, seed: int) -> np.ndarray:
    """Ground with detail of every size."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for cell in (1, 2, 4, 8, 16, 32, 64):
        shape = (height // cell + 2, width // cell + 2)
        noise = generator.normal(0.0, 1.0, shape).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128.0 + 14.0 * total, 0, 255).astype(np.uint8)


@pytest.fixture
def ground():
    return texture


@pytest.fixture
def write_photo(tmp_path):
    """Writes a photo with the given EXIF tags (by number) and XMP below ``tmp_path``."""

    def write(name="a.jpg", main=None, exif=None, gps=None, xmp=None, size=(640, 480), seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tags = Image.Exif()
        tags.update(main or {})
        tags.get_ifd(0x8769).update(exif or {})
        tags.get_ifd(0x8825).update(gps or {})
        image = Image.fromarray(texture(*size, seed)).convert("RGB")
        kind = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}.get(
            name.lower().split(".")[-1], "TIFF"
        )
        extra = {"xmp": xmp} if xmp and kind == "JPEG" else {}
        image.save(path, kind, exif=tags, **extra)
        return path

    return write


def described(name, east_m=None, north_m=None, height_m=30.0, **changes):
    """A photo of 4000 x 3000 pixels and 3000 pixels of focal length: 40 x 30 m from 30 m."""
    position = None
    if east_m is not None:
        position = Position(
            46.5 + north_m / METRES_PER_DEGREE,
            8.2 + east_m / METRES_PER_DEGREE / np.cos(np.deg2rad(46.5)),
            500.0,
            0.02,
            0.03,
            "rtk",
        )
    values = {
        "name": name,
        "path": Path(name),
        "sha256": name,
        "width_px": 4000,
        "height_px": 3000,
        "camera": "camera",
        "focal_px": 3000.0,
        "focal_sigma": 0.1,
        "captured_at": None,
        "position": position,
        "yaw_deg": 0.0,
        "pitch_deg": -90.0,
        "roll_deg": 0.0,
        "relative_altitude_m": height_m,
        "altitude_datum": "ellipsoidal",
    }
    return Photo(**{**values, **changes})


@pytest.fixture
def photo():
    return described


@pytest.fixture
def strips():
    """A flight of strips to the north: ``forward`` and ``side`` are overlaps, 0 to 1."""

    def fly(strip_count=4, per_strip=6, forward=0.8, side=0.7, prefix="p", east_m=0.0, **changes):
        photos = []
        for strip in range(strip_count):
            for step in range(per_strip):
                north = step if strip % 2 == 0 else per_strip - 1 - step
                height_m = changes.get("height_m", 30.0)
                photos.append(
                    described(
                        f"{prefix}{len(photos):04d}",
                        east_m + strip * 40.0 * (1.0 - side) * height_m / 30.0,
                        north * 30.0 * (1.0 - forward) * height_m / 30.0,
                        captured_at=f"2026-05-04T10:{len(photos) // 60:02d}:{len(photos) % 60:02d}",
                        **changes,
                    )
                )
        return tuple(photos)

    return fly


@pytest.fixture
def sound():
    """Sharp, well exposed photos."""

    def make(count):
        return tuple(PhotoQuality(1.0 + 0.01 * (n % 5), 120.0, 0.0, 0.0) for n in range(count))

    return make


@pytest.fixture(
    scope="session",
    params=[("brighton_beach", 18), ("caliterra", 26)],
    ids=lambda value: value[0],
)
def real_flight(request):
    """Name, photo count and photo set of a real flight."""
    name, count = request.param
    folder = REAL / name / "images"
    if not folder.is_dir():
        pytest.skip(f"the real flight {name} is not at {folder}")
    return name, count, read_flight(PhotoFolder(folder), Run(jobs=2))
