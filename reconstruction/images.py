"""A folder of photos: which can be used, which cannot and why."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from reconstruction.control import Control
from reconstruction.errors import InputError
from reconstruction.flight import judge_flight
from reconstruction.metadata import Metadata, read_metadata
from reconstruction.photo import Photo
from reconstruction.positions import apply_positions, without_unmeasured
from reconstruction.quality import PhotoQuality, measure_quality
from reconstruction.stage import Run, Stage
from reconstruction.verdict import FlightVerdict

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_RAW_SUFFIXES = {".dng", ".arw", ".cr2", ".cr3", ".nef", ".raf", ".orf", ".rw2", ".heic", ".heif"}
_PIXEL_LIMIT = 250_000_000
_SIDE_LIMIT_PX = 60_000
_SIDE_LEAST_PX = 200
_BYTES_LIMIT = 2_000_000_000
_END_OF_IMAGE = b"\xff\xd9"

# By content, not by name. The readers are called directly: `Image.open` would try every format
# that Pillow knows and has a pixel limit of its own that is shared by the whole process.
_READERS: tuple[tuple[bytes, type[Image.Image]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
)


_TRUNCATED = "truncated: the end of the image is missing, copy it again"


class _UnusableError(Exception):
    """A file that is set aside; the message is the reason."""


@dataclass(frozen=True)
class PhotoFolder:
    """Input of the stage.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders, hidden ones left out.
    positions : Path or None
        A position file (``geo.txt``) that overrides the positions in the photos.
    """

    folder: Path
    positions: Path | None = None


@dataclass(frozen=True)
class PhotoSet:
    """The photos of a flight.

    Parameters
    ----------
    photos : tuple of Photo
        Usable photos in the order of their names.
    quality : tuple of PhotoQuality
        One for each photo.
    set_aside : tuple of (str, str)
        Name and reason of each file that looked like a photo and cannot be used.
    notes : tuple of str
        What a surveyor should know about the positions.
    """

    photos: tuple[Photo, ...]
    quality: tuple[PhotoQuality, ...]
    set_aside: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def judged(self, control: Control | None = None) -> FlightVerdict:
        """What is to be said of the flight, and of its list of surveyed points."""
        return judge_flight(self.photos, self.quality, self.set_aside, control)

    def save(self, folder: Path) -> None:
        """Write ``photos.json`` into a folder."""
        values = {
            "photos": [photo.to_json() for photo in self.photos],
            "quality": [asdict(quality) for quality in self.quality],
            "set_aside": self.set_aside,
            "notes": self.notes,
        }
        (folder / "photos.json").write_text(json.dumps(values, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PhotoSet:
        """The inverse of `save`."""
        values = json.loads((folder / "photos.json").read_text(encoding="utf-8"))
        return cls(
            tuple(Photo.from_json(item) for item in values["photos"]),
            tuple(PhotoQuality(**item) for item in values["quality"]),
            tuple((name, reason) for name, reason in values["set_aside"]),
            tuple(values["notes"]),
        )


def read_flight(inputs: PhotoFolder, run: Run) -> PhotoSet:
    """Read every photo below a folder once.

    Parameters
    ----------
    inputs : PhotoFolder
    run : Run

    Returns
    -------
    PhotoSet
        Also of a flight that cannot work: see `PhotoSet.judged`.

    Raises
    ------
    InputError
        When the folder is not there or holds no photo, or for an error in the position file.
    """
    names = photo_names(inputs.folder)
    if not names:
        raise InputError(
            f"No photos in {inputs.folder}.",
            "Give the folder that holds the flight's JPEG, PNG or TIFF files.",
        )
    results = run.map(_inspect, [(inputs.folder, name) for name in names], "reading photos")
    photos: list[Photo] = []
    quality: list[PhotoQuality] = []
    set_aside: list[tuple[str, str]] = []
    first_with: dict[str, str] = {}
    for name, result in zip(names, results, strict=True):
        if isinstance(result, str):
            set_aside.append((_printable(name), result))
            continue
        twin = first_with.setdefault(result[0].sha256, name)
        if twin != name:
            set_aside.append((name, f"the same file as {twin}"))
            continue
        photos.append(result[0])
        quality.append(result[1])
    usable = tuple(photos)
    notes: tuple[str, ...] = ()
    if inputs.positions:
        usable, notes = apply_positions(inputs.positions, usable)
    usable, unmeasured = without_unmeasured(usable)
    return PhotoSet(usable, tuple(quality), tuple(set_aside), notes + unmeasured)


def photo_names(folder: Path) -> list[str]:
    """Names of all files below a folder that look like photos, sorted.

    A name is the path relative to the folder, with forward slashes.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.", "Give the folder that holds the photos.")
    names = []
    for parent, subfolders, files in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in files:
            if not file.startswith(".") and _suffix(file) in _SUFFIXES | _RAW_SUFFIXES:
                names.append((Path(parent) / file).relative_to(folder).as_posix())
    return sorted(names)


def listing(inputs: PhotoFolder) -> tuple[str, ...]:
    """Name, size and time of every input file: what the stage's result depends on."""
    paths = [inputs.folder / name for name in photo_names(inputs.folder)]
    paths += [inputs.positions] if inputs.positions else []
    facts = [(path, path.stat()) for path in paths if path.is_file()]
    return tuple(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in facts)


def _printable(name: str) -> str:
    """A file's name, bytes that are no UTF-8 shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


@dataclass(frozen=True)
class Header:
    """What a photo file says before its pixels are decoded."""

    width_px: int
    height_px: int
    metadata: Metadata


def read_header(path: Path) -> Header | str:
    """Size and metadata of a photo file, or the reason why it cannot be used."""
    try:
        content = _content(path)
        image = _open(content)
        if isinstance(image, JpegImageFile) and not _jpeg_is_complete(content):
            return _TRUNCATED
        return Header(image.width, image.height, read_metadata(image))
    except _UnusableError as error:
        return str(error)


def _inspect(shard: tuple[Path, str]) -> tuple[Photo, PhotoQuality] | str:
    """One photo with its quality, or the reason why the file is set aside."""
    folder, name = shard
    try:
        return _read(folder, name)
    except _UnusableError as error:
        return str(error)


def _read(folder: Path, name: str) -> tuple[Photo, PhotoQuality]:
    if _suffix(name) in _RAW_SUFFIXES:
        raise _UnusableError("this format is not read: export it as JPEG or TIFF")
    path = folder / name
    # No file of a survey can name it, and OpenCV crashes on it.
    if _printable(str(path)) != str(path):
        raise _UnusableError("its name, or that of its folder, is not UTF-8: rename it")
    content = _content(path)
    image = _open(content)
    found = read_metadata(image)
    width_px, height_px = image.size
    parts = (found.body, f"{width_px}x{height_px}", found.focal_setting)
    photo = Photo(
        name=name,
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        width_px=width_px,
        height_px=height_px,
        camera=" ".join(part for part in parts if part),
        focal_px=found.focal_length.px if found.focal_length else None,
        focal_sigma=found.focal_length.sigma if found.focal_length else None,
        captured_at=found.captured_at,
        position=found.position,
        yaw_deg=found.yaw_deg,
        pitch_deg=found.pitch_deg,
        roll_deg=found.roll_deg,
        relative_altitude_m=found.relative_altitude_m,
        altitude_datum=found.altitude_datum,
    )
    return photo, measure_quality(_decode(image, content))


def _content(path: Path) -> bytes:
    try:
        # A pipe would be waited for without end.
        if not path.is_file():
            raise _UnusableError("not a file, or a link to nowhere")
        if path.stat().st_size > _BYTES_LIMIT:
            raise _UnusableError(f"{path.stat().st_size / 1e9:.1f} GB, more than the limit of 2 GB")
        return path.read_bytes()
    except OSError as error:
        raise _UnusableError(f"cannot be read: {error.strerror}") from error


def _open(content: bytes) -> Image.Image:
    """The image behind a file's content, its header read and its size checked."""
    if not content:
        raise _UnusableError("the file is empty (0 bytes)")
    reader = next((reader for magic, reader in _READERS if content.startswith(magic)), None)
    if reader is None:
        raise _UnusableError("not a JPEG, PNG or TIFF image")
    try:
        image = reader(io.BytesIO(content))  # type: ignore[call-arg]
    except Exception as error:  # a damaged header makes Pillow raise almost anything
        raise _UnusableError(f"the header is damaged ({error})") from error
    width_px, height_px = image.size
    if width_px * height_px > _PIXEL_LIMIT or max(image.size) > _SIDE_LIMIT_PX:
        raise _UnusableError(
            f"{width_px} x {height_px} pixels, more than the limit of"
            f" {_PIXEL_LIMIT // 1_000_000} megapixels"
        )
    if min(image.size) < _SIDE_LEAST_PX:
        raise _UnusableError(f"{width_px} x {height_px} pixels, a preview and not a photo")
    return image


def _decode(image: Image.Image, content: bytes) -> np.ndarray:
    """Grey pixels at half size or more, every byte of the image having been decoded."""
    if isinstance(image, JpegImageFile):
        if not _jpeg_is_complete(content):
            raise _UnusableError(_TRUNCATED)
        image.draft("L", (image.width // 2, image.height // 2))
    try:
        image.load()
        return np.asarray(image if image.mode == "L" else _gray(image))
    except Exception as error:  # damaged data make Pillow raise almost anything
        raise _UnusableError(f"the pixels cannot be decoded ({error})") from error


def _gray(image: Image.Image) -> Image.Image:
    """Eight bits a pixel, also of a sixteen-bit image, which Pillow would clip."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float32)
        values = values * (255.0 / max(float(np.nanmax(values)), 1.0))
        return Image.fromarray(np.nan_to_num(values).clip(0.0, 255.0).astype(np.uint8))
    return image.convert("L")


def _jpeg_is_complete(content: bytes) -> bool:
    """Whether the end marker follows the start of the image's scan.

    A decoder fills what is missing with grey and may not say so; a tail of zeros, left by an
    interrupted copy, has no end marker either. The marker of an embedded preview, which comes
    before the scan, does not count.
    """
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xDA:
            return content.find(_END_OF_IMAGE, at) >= 0
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return False


def _run(inputs: PhotoFolder, options: None, folder: Path, run: Run) -> PhotoSet:
    photo_set = read_flight(inputs, run)
    photo_set.save(folder)
    return photo_set


IMAGES: Stage[PhotoFolder, None, PhotoSet] = Stage("images", 4, 0.1, _run, PhotoSet.load)
