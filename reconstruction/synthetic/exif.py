"""What a drone writes into its photos beside the picture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

_GPS_IFD, _EXIF_IFD = 0x8825, 0x8769


@dataclass(frozen=True)
class Fix:
    """A position as the receiver gives it.

    Parameters
    ----------
    latitude_deg, longitude_deg, altitude_m, relative_altitude_m : float
    rtk_sigmas_m : tuple of float or None
        Standard deviations in longitude, latitude and height of a fixed RTK solution.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    relative_altitude_m: float
    rtk_sigmas_m: tuple[float, float, float] | None


@dataclass(frozen=True)
class PhotoFacts:
    """Everything that goes into EXIF and XMP.

    Parameters
    ----------
    captured_at : datetime
    focal_mm, sensor_width_mm : float
        As the maker states them; a real lens is off by a little.
    yaw_deg, pitch_deg, roll_deg : float
        Gimbal angles: clockwise from true north, -90 is straight down.
    exposure_s : float
    fix : Fix or None
    """

    captured_at: datetime
    focal_mm: float
    sensor_width_mm: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    exposure_s: float
    fix: Fix | None


def write_photo(path: Path, pixels: NDArray[np.uint8], facts: PhotoFacts) -> None:
    """Write a JPEG with EXIF and XMP."""
    image = Image.fromarray(pixels)
    exif = _exif(image.size, facts)
    image.save(path, "JPEG", quality=92, subsampling="4:2:0", exif=exif, xmp=_xmp(facts))


def _exif(size: tuple[int, int], facts: PhotoFacts) -> Image.Exif:
    exif = Image.Exif()
    stamp = facts.captured_at.strftime("%Y:%m:%d %H:%M:%S")
    exif.update({0x010F: "Cairn", 0x0110: "Demo Quarry Camera", 0x0112: 1, 0x0132: stamp})
    exif.get_ifd(_EXIF_IFD).update(
        {
            0x829A: IFDRational(1, round(1.0 / facts.exposure_s)),
            0x829D: IFDRational(56, 10),
            0x8827: 100,
            0x9003: stamp,
            0x9004: stamp,
            0x9291: f"{facts.captured_at.microsecond // 1000:03d}",
            0x920A: IFDRational(round(facts.focal_mm * 1000), 1000),
            0xA002: size[0],
            0xA003: size[1],
            0xA405: round(facts.focal_mm * 36.0 / facts.sensor_width_mm),
        }
    )
    if facts.fix is not None:
        exif.get_ifd(_GPS_IFD).update(_gps(facts.fix))
    return exif


def _gps(fix: Fix) -> dict[int, object]:
    return {
        0: b"\x02\x03\x00\x00",
        1: "N" if fix.latitude_deg >= 0.0 else "S",
        2: _sexagesimal(abs(fix.latitude_deg)),
        3: "E" if fix.longitude_deg >= 0.0 else "W",
        4: _sexagesimal(abs(fix.longitude_deg)),
        5: b"\x00" if fix.altitude_m >= 0.0 else b"\x01",
        6: IFDRational(round(abs(fix.altitude_m) * 1000), 1000),
        18: "WGS-84",
    }


def _sexagesimal(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    whole = int(degrees)
    minutes = int((degrees - whole) * 60.0)
    seconds = (degrees - whole - minutes / 60.0) * 3600.0
    # 1e-6 of a second is 0.03 mm.
    return IFDRational(whole, 1), IFDRational(minutes, 1), IFDRational(round(seconds * 1e6), 10**6)


def _xmp(facts: PhotoFacts) -> bytes:
    values = {
        "GimbalYawDegree": f"{facts.yaw_deg:+.2f}",
        "GimbalPitchDegree": f"{facts.pitch_deg:+.2f}",
        "GimbalRollDegree": f"{facts.roll_deg:+.2f}",
        "FlightYawDegree": f"{facts.yaw_deg:+.2f}",
    }
    fix = facts.fix
    if fix is not None:
        values |= {
            "AbsoluteAltitude": f"{fix.altitude_m:+.3f}",
            "RelativeAltitude": f"{fix.relative_altitude_m:+.3f}",
            "GpsLatitude": f"{fix.latitude_deg:.10f}",
            "GpsLongitude": f"{fix.longitude_deg:.10f}",
        }
        if fix.rtk_sigmas_m is not None:
            east, north, up = fix.rtk_sigmas_m
            values |= {
                "RtkFlag": "50",
                "RtkStdLon": f"{east:.5f}",
                "RtkStdLat": f"{north:.5f}",
                "RtkStdHgt": f"{up:.5f}",
            }
    attributes = "\n".join(f'   drone-dji:{name}="{value}"' for name, value in values.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        '  <rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"\n'
        f"{attributes}>\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    ).encode()
