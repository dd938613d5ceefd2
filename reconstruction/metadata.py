"""What a camera and a drone write into a photo: EXIF and XMP, read without trusting either.

Every value may be missing, of the wrong type, a division by zero or out of this world. Such a
value counts as missing; it never stops a flight.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import TAGS

from reconstruction.focal_length import FocalLength, read_focal_length
from reconstruction.photo import Position
from reconstruction.tags import Tags, first, number, positive, text

# One standard deviation, horizontal and vertical, metres.
_FIXED_FLOOR_M = (0.01, 0.02)
_FIXED_DEFAULT_M = (0.02, 0.04)
_FLOAT_M = (0.5, 1.0)
_CONSUMER_M = (3.0, 8.0)

_XMP_ATTRIBUTE = re.compile(r"([A-Za-z][\w.-]*:[A-Za-z]\w*)\s*=\s*[\"']([^\"'<>]{0,200})[\"']")
_XMP_ELEMENT = re.compile(r"<([A-Za-z][\w.-]*:[A-Za-z]\w*)>\s*([^<>]{1,200}?)\s*</\1>")
_XMP_LIMIT = 256 * 1024

# What Pillow is known to raise, or to warn of, on damaged EXIF.
_DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    AttributeError,
    ArithmeticError,
    OSError,
    struct.error,
    UserWarning,
)


@dataclass(frozen=True)
class Metadata:
    """Facts from EXIF and XMP, in the units of `Photo`.

    Parameters
    ----------
    body : str
        Make, model and serial number of the physical camera.
    focal_setting : str
        Focal length and digital zoom, as far as known: photos at different settings do not
        share a calibration.
    """

    body: str
    focal_setting: str
    focal_length: FocalLength | None
    captured_at: str | None
    position: Position | None
    yaw_deg: float | None
    pitch_deg: float | None
    roll_deg: float | None
    relative_altitude_m: float | None
    altitude_datum: str


def read_metadata(image: Image.Image) -> Metadata:
    """Facts about an opened image; nothing of its pixels is decoded.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    Metadata
    """
    main, exif, gps = _exif(image)
    xmp = read_xmp(image.info.get("xmp"))
    make, model = text(main.get("Make")), text(main.get("Model"))
    yaw_deg, pitch_deg, roll_deg = _angles(xmp)
    return Metadata(
        body=_body(make, model, text(exif.get("BodySerialNumber")) or _serial(xmp)),
        focal_setting=_focal_setting(exif),
        focal_length=read_focal_length(model, exif, xmp, image.size),
        captured_at=_captured_at(main, exif),
        position=_position(gps, xmp),
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        relative_altitude_m=first(xmp, "drone-dji:RelativeAltitude", "drone:RelativeAltitude"),
        altitude_datum=_altitude_datum(gps, xmp),
    )


def read_xmp(packet: object) -> dict[str, str]:
    """Values of an XMP packet by prefixed name, in attribute and in element form.

    The packet is searched, not parsed as XML: drones write packets that no parser accepts, and
    a search has no entities to expand.

    Examples
    --------
    >>> read_xmp(b'<a drone-dji:RtkFlag="50"><Camera:Yaw>12.5</Camera:Yaw></a>')
    {'Camera:Yaw': '12.5', 'drone-dji:RtkFlag': '50'}
    """
    if isinstance(packet, bytes):
        packet = packet[:_XMP_LIMIT].decode("utf-8", "replace")
    if not isinstance(packet, str):
        return {}
    packet = packet[:_XMP_LIMIT]
    return {**dict(_XMP_ELEMENT.findall(packet)), **dict(_XMP_ATTRIBUTE.findall(packet))}


def _exif(image: Image.Image) -> tuple[Tags, Tags, Tags]:
    """Main, EXIF and GPS tags by name, by name and by number; empty where damaged."""
    try:
        raw = image.getexif()
        main = {TAGS.get(key, key): value for key, value in raw.items()}
    except _DAMAGED:
        return {}, {}, {}
    parts: list[dict[Any, Any]] = []
    for pointer in (0x8769, 0x8825):
        try:
            parts.append(dict(raw.get_ifd(pointer)))
        except _DAMAGED:
            parts.append({})
    return main, {TAGS.get(key, key): value for key, value in parts[0].items()}, parts[1]


def _serial(xmp: Tags) -> str:
    return text(xmp.get("drone-dji:CameraSerialNumber") or xmp.get("aux:SerialNumber"))


def _body(make: str, model: str, serial: str) -> str:
    named = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return " ".join(part for part in (named.strip() or "unknown camera", serial) if part)


def _focal_setting(exif: Tags) -> str:
    focal_mm = positive(exif.get("FocalLength"))
    zoom = positive(exif.get("DigitalZoomRatio")) or 1.0
    parts = [f"{focal_mm:.2f}mm"] if focal_mm else []
    return " ".join(parts + ([f"zoom{zoom:.2f}"] if zoom > 1.0 else []))


def _captured_at(main: Tags, exif: Tags) -> str | None:
    for written, fraction in (
        (exif.get("DateTimeOriginal"), exif.get("SubsecTimeOriginal")),
        (exif.get("DateTimeDigitized"), exif.get("SubsecTimeDigitized")),
        (main.get("DateTime"), exif.get("SubsecTime")),
    ):
        try:
            moment = datetime.strptime(text(written), "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        digits = text(fraction)
        return moment.isoformat() + (f".{digits[:6]}" if digits.isdecimal() else "")
    return None


def _angles(xmp: Tags) -> tuple[float | None, float | None, float | None]:
    """Yaw, pitch (-90 looks down) and roll of the camera."""
    for prefix in ("drone-dji:Gimbal", "drone:Gimbal", "drone-parrot:Camera"):
        pitch_deg = number(xmp.get(f"{prefix}PitchDegree"))
        if pitch_deg is not None:
            yaw, roll = xmp.get(f"{prefix}YawDegree"), xmp.get(f"{prefix}RollDegree")
            return number(yaw), pitch_deg, number(roll)
    # The Camera schema counts pitch from nadir.
    pitch_deg = number(xmp.get("Camera:Pitch"))
    pitch_deg = None if pitch_deg is None else pitch_deg - 90.0
    return number(xmp.get("Camera:Yaw")), pitch_deg, number(xmp.get("Camera:Roll"))


def _position(gps: Tags, xmp: Tags) -> Position | None:
    # EXIF first: programs that correct positions afterwards write there, not into the XMP.
    latitude_deg = _sexagesimal_deg(gps.get(2), gps.get(1), "S")
    longitude_deg = _sexagesimal_deg(gps.get(4), gps.get(3), "W")
    if latitude_deg is None or longitude_deg is None:
        latitude_deg = first(xmp, "drone-dji:GpsLatitude", "drone-dji:Latitude")
        longitude_deg = first(
            xmp, "drone-dji:GpsLongitude", "drone-dji:GpsLongtitude", "drone-dji:Longitude"
        )
    if latitude_deg is None or longitude_deg is None:
        return None
    if abs(latitude_deg) > 90.0 or abs(longitude_deg) > 180.0:
        return None
    # A receiver without a fix writes zeros; nobody surveys in the Gulf of Guinea.
    if abs(latitude_deg) < 1e-6 and abs(longitude_deg) < 1e-6:
        return None
    horizontal_m, vertical_m, source = _sigmas(gps, xmp)
    return Position(
        latitude_deg, longitude_deg, _altitude_m(gps, xmp), horizontal_m, vertical_m, source
    )


def _sexagesimal_deg(value: object, reference: object, negative: str) -> float | None:
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= 3:
        return None
    parts = [number(part) for part in value]
    if parts[0] is None:
        return None
    # Degrees with a fraction leave minutes and seconds empty, often as 0/0.
    degrees = sum((part or 0.0) / 60.0**power for power, part in enumerate(parts))
    return -degrees if text(reference).upper().startswith(negative) else degrees


def _altitude_m(gps: Tags, xmp: Tags) -> float | None:
    altitude_m = number(gps.get(6))
    if altitude_m is None:
        altitude_m = first(xmp, "drone-dji:AbsoluteAltitude", "drone:AbsoluteAltitude")
    elif _altitude_reference(gps) in (1, 3):
        altitude_m = -abs(altitude_m)
    # From below the Dead Sea to above Everest.
    return altitude_m if altitude_m is not None and -1000.0 < altitude_m < 10_000.0 else None


def _altitude_reference(gps: Tags) -> int:
    value = gps.get(5)
    if isinstance(value, bytes):
        return value[0] if value else 0
    return int(number(value) or 0)


def _altitude_datum(gps: Tags, xmp: Tags) -> str:
    """``ellipsoidal`` where the file says so or a DJI RTK receiver measured, else ``unknown``.

    "Above sea level", EXIF's usual claim, is written by receivers whatever they measured.
    """
    if _altitude_reference(gps) in (2, 3) or text(xmp.get("drone-dji:AltitudeType")) == "RtkAlt":
        return "ellipsoidal"
    return "ellipsoidal" if _rtk_flag(xmp) >= 32 else "unknown"


def _rtk_flag(xmp: Tags) -> int:
    return int(number(xmp.get("drone-dji:RtkFlag")) or 0)


def _sigmas(gps: Tags, xmp: Tags) -> tuple[float, float, str]:
    """Horizontal and vertical sigma in metres, and what kind of receiver it was.

    DJI's ``RtkFlag``: 50 fixed, 32 to 49 float, 16 single point. A fixed solution has the
    deviations that it states, but no smaller ones than the lever arm and the shutter allow.
    """
    flag = _rtk_flag(xmp)
    stated = [positive(xmp.get(f"drone-dji:RtkStd{axis}")) for axis in ("Lon", "Lat", "Hgt")]
    horizontal_m = max((value for value in stated[:2] if value), default=None)
    vertical_m = stated[2]
    if flag == 50:
        horizontal_m = max(_FIXED_FLOOR_M[0], horizontal_m or _FIXED_DEFAULT_M[0])
        return horizontal_m, max(_FIXED_FLOOR_M[1], vertical_m or _FIXED_DEFAULT_M[1]), "rtk"
    if 32 <= flag < 50:
        return max(_FLOAT_M[0], horizontal_m or 0.0), max(_FLOAT_M[1], vertical_m or 0.0), "rtk"
    horizontal_m = positive(xmp.get("Camera:GPSXYAccuracy")) or positive(gps.get(31))
    vertical_m = positive(xmp.get("Camera:GPSZAccuracy"))
    if horizontal_m is None:
        return *_CONSUMER_M, "exif"
    horizontal_m = max(_FIXED_FLOOR_M[0], horizontal_m)
    return horizontal_m, max(_FIXED_FLOOR_M[1], vertical_m or 2.0 * horizontal_m), "exif"
