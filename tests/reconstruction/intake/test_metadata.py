"""EXIF and XMP: planted values come back, hostile ones count as missing."""

import math
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import IFDRational

from reconstruction.metadata import read_metadata, read_xmp

PLACE = {1: "N", 2: (46.0, 30.0, 18.0), 3: "E", 4: (8.0, 12.0, 36.0), 5: b"\0", 6: 512.25}
NAMES = "RtkFlag RtkStdLon RtkStdLat RtkStdHgt GimbalYawDegree GimbalPitchDegree GimbalRollDegree"
VALUES = ("50", "0.012", "0.015", "0.031", "+45.10", "-89.90", "+0.30")
DJI = dict(zip(NAMES.split(), VALUES, strict=True), RelativeAltitude="+39.80")


def attribute_form(values):
    inside = "\n".join(f'drone-dji:{key}="{value}"' for key, value in values.items())
    return f"<x:xmpmeta><rdf:Description {inside}/></x:xmpmeta>".encode()


def element_form(values):
    inside = "".join(f"<drone-dji:{k}>{v}</drone-dji:{k}>" for k, v in values.items())
    return f"<x:xmpmeta><rdf:Description>{inside}</rdf:Description></x:xmpmeta>".encode()


@pytest.fixture
def read(write_photo):
    def reader(**planted):
        with Image.open(write_photo(**planted)) as image:
            return read_metadata(image)

    return reader


def test_planted_exif_comes_back(read):
    found = read(
        main={0x10F: "Maker", 0x110: "Model 1\0\0\0"},
        exif={0x9003: "2026:05:04 10:42:07", 0x9291: "250", 0xA431: "SN7", 0x920A: 8.8},
        gps=PLACE,
    )
    assert found.body == "Maker Model 1 SN7"
    assert found.focal_setting == "8.80mm"
    assert found.captured_at == "2026-05-04T10:42:07.250"
    assert found.position.latitude_deg == pytest.approx(46.505, abs=1e-9)
    assert found.position.longitude_deg == pytest.approx(8.21, abs=1e-9)
    assert found.position.altitude_m == 512.25
    assert (found.position.horizontal_sigma_m, found.position.vertical_sigma_m) == (3.0, 8.0)
    assert (found.position.source, found.altitude_datum) == ("exif", "unknown")


@pytest.mark.parametrize(("north", "east"), [("N", "W"), ("S", "E"), ("S", "W")])
def test_hemispheres_and_depth_below_sea_level(read, north, east):
    position = read(gps={**PLACE, 1: north, 3: east, 5: b"\1"}).position
    assert math.copysign(1.0, position.latitude_deg) == (1.0 if north == "N" else -1.0)
    assert math.copysign(1.0, position.longitude_deg) == (1.0 if east == "E" else -1.0)
    assert position.altitude_m == -512.25


@pytest.mark.parametrize("form", [attribute_form, element_form])
def test_planted_rtk_and_gimbal_come_back(read, form):
    found = read(gps=PLACE, xmp=form(DJI))
    assert (found.yaw_deg, found.pitch_deg, found.roll_deg) == (45.1, -89.9, 0.3)
    assert found.relative_altitude_m == 39.8
    position = found.position
    assert (position.horizontal_sigma_m, position.vertical_sigma_m) == (0.015, 0.031)
    assert (position.source, found.altitude_datum) == ("rtk", "ellipsoidal")


@pytest.mark.parametrize(
    ("changes", "sigmas", "source"),
    [
        ({"RtkStdLon": "0.001", "RtkStdLat": "0.001", "RtkStdHgt": "0.001"}, (0.01, 0.02), "rtk"),
        ({"RtkStdLon": "", "RtkStdLat": "x", "RtkStdHgt": "nan"}, (0.02, 0.04), "rtk"),
        ({"RtkFlag": "34"}, (0.5, 1.0), "rtk"),
        ({"RtkFlag": "34", "RtkStdLon": "0.9", "RtkStdHgt": "2"}, (0.9, 2.0), "rtk"),
        ({"RtkFlag": "16"}, (3.0, 8.0), "exif"),
        ({"RtkFlag": "0"}, (3.0, 8.0), "exif"),
        ({"RtkFlag": "inf"}, (3.0, 8.0), "exif"),
    ],
)
def test_sigma_by_kind_of_solution(read, changes, sigmas, source):
    position = read(gps=PLACE, xmp=attribute_form({**DJI, **changes})).position
    assert (position.horizontal_sigma_m, position.vertical_sigma_m) == sigmas
    assert position.source == source


def test_xmp_position_stands_in_for_missing_exif(read):
    values = {"GpsLatitude": "-33.5", "GpsLongtitude": "+151.25", "AbsoluteAltitude": "+88.5"}
    position = read(xmp=attribute_form(values)).position
    assert (position.latitude_deg, position.longitude_deg) == (-33.5, 151.25)
    assert position.altitude_m == 88.5


def test_camera_schema_counts_pitch_from_nadir(read):
    xmp = b'<a Camera:Yaw="12" Camera:Pitch="5" Camera:Roll="-3" Camera:GPSXYAccuracy="0.03"/>'
    found = read(gps=PLACE, xmp=xmp)
    assert (found.yaw_deg, found.pitch_deg, found.roll_deg) == (12.0, -85.0, -3.0)
    assert found.position.horizontal_sigma_m == 0.03
    assert found.position.vertical_sigma_m == 0.06


@pytest.mark.parametrize(
    ("main", "exif", "xmp", "focal_px"),
    [
        ({}, {}, None, None),
        ({}, {0x920A: 8.8}, None, None),
        ({0x110: "FC6310"}, {0x920A: 8.8}, None, 8.8 / 13.2 * 1500),
        ({0x110: "FC6310"}, {0x920A: IFDRational(0, 0)}, None, None),
        # A sensor of 15 mm: 100 pixels a millimetre, then the photo was reduced by four.
        ({}, {0x920A: 10.0, 0xA20E: 4000.0, 0xA210: 3, 0xA002: 6000}, None, 1000.0),
        ({}, {0xA405: 24}, None, 24 / 36 * 1500),
        ({}, {0xA405: 0}, None, None),
        ({}, {0xA405: 24}, b'<a drone-dji:CalibratedFocalLength="1100.5"/>', 1100.5),
        ({}, {0xA405: 24}, b'<a drone-dji:CalibratedFocalLength="0"/>', 1000.0),
    ],
)
def test_focal_length_from_the_best_source(read, main, exif, xmp, focal_px):
    found = read(main=main, exif=exif, xmp=xmp, size=(1500, 1000))
    assert (found.focal_length and found.focal_length.px) == (focal_px and pytest.approx(focal_px))


def test_equivalent_focal_length_compares_diagonals_at_four_to_three(read):
    found = read(exif={0xA405: 24}, size=(1200, 900))
    assert found.focal_length.px == pytest.approx(24 / math.hypot(36, 24) * 1500)


def test_portrait_photo_has_the_focal_length_of_its_long_side(read):
    found = read(exif={0xA405: 24}, size=(1000, 1500))
    assert found.focal_length.px == pytest.approx(1000.0)


# 8.8 mm on 13.2 mm, of 5472 pixels: 24 mm as a full frame has it.
PHANTOM = {0x110: "FC6310"}
LENS = {0x920A: 8.8}
PLANE = {0xA20E: 5472 / 1.32, 0xA210: 3}


@pytest.mark.parametrize(
    ("main", "exif", "width_px", "sigma"),
    [
        # The table knows how many pixels the whole sensor has.
        (PHANTOM, LENS, 5472, 0.03),
        (PHANTOM, LENS, 4864, 0.1),
        (PHANTOM, LENS, 2736, 0.1),
        # The size of a pixel and the width of the sensor, each from a tag of its own.
        ({}, {**LENS, **PLANE, 0xA405: 24}, 5472, 0.03),
        ({}, {**LENS, **PLANE, 0xA405: 24}, 4864, 0.1),
        ({}, {**LENS, **PLANE, 0xA405: 24}, 2736, 0.1),
        # A crop after which the camera's own size was kept.
        ({}, {**LENS, **PLANE, 0xA405: 24, 0xA002: 5472}, 4864, 0.1),
        ({}, {**LENS, **PLANE}, 5472, 0.1),
        ({}, {0xA405: 24}, 5472, 0.1),
    ],
)
def test_focal_length_of_a_photo_that_shows_the_whole_sensor_is_trusted(
    read, main, exif, width_px, sigma
):
    found = read(main=main, exif=exif, size=(width_px, width_px * 2 // 3)).focal_length
    assert found.sigma == sigma


ZERO = IFDRational(1, 0)


@pytest.mark.parametrize(
    "gps",
    [
        {**PLACE, 2: (900.0, 0.0, 0.0)},
        {**PLACE, 4: (181.0, 0.0, 0.0)},
        {**PLACE, 2: (ZERO, ZERO, ZERO)},
        {**PLACE, 2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {1: "N", 3: "E"},
        {**PLACE, 2: 46.5},
    ],
)
def test_absurd_positions_count_as_missing(read, gps):
    assert read(gps=gps).position is None


def test_degrees_with_empty_minutes(read):
    position = read(gps={**PLACE, 2: (46.505, ZERO, ZERO)}).position
    assert position.latitude_deg == pytest.approx(46.505, abs=1e-6)


@pytest.mark.parametrize("altitude", [ZERO, 1e7])
def test_absurd_altitude_leaves_the_horizontal_position(read, altitude):
    position = read(gps={**PLACE, 6: altitude}).position
    assert position.altitude_m is None
    assert position.latitude_deg == pytest.approx(46.505)


@pytest.mark.parametrize("moment", ["0000:00:00 00:00:00", "2026-05-04", "", "2026:13:01 00:00:00"])
def test_absurd_times_count_as_missing(read, moment):
    assert read(exif={0x9003: moment}).captured_at is None


def test_markup_and_control_characters_stay_text(read):
    found = read(main={0x10F: "<script>\x1b[2J", 0x110: "b\nc"})
    assert found.body == "<script>[2J bc"


def test_xmp_with_entities_is_only_searched():
    packet = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x drone-dji:RtkFlag="&a;&a;"/>'
    assert read_xmp(packet) == {"drone-dji:RtkFlag": "&a;&a;"}


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200),
    st.lists(
        st.tuples(
            st.sampled_from([0x10F, 0x8769, 0x8825, 0x132, 1, 2, 3, 4, 5, 6, 0x9003, 0x920A]),
            st.integers(0, 14),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
        ),
        max_size=8,
    ),
)
def test_no_bytes_in_exif_stop_the_reader(tail, entries):
    directory = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0\0\0\0"
    stream = BytesIO()
    Image.new("L", (16, 16)).save(stream, "JPEG", exif=b"Exif\0\0" + directory + tail)
    stream.seek(0)
    try:
        image = JpegImageFile(stream)
    except (OSError, ValueError, SyntaxError, UserWarning):  # what `images` sets aside
        return
    found = read_metadata(image)
    assert found.position is None or abs(found.position.latitude_deg) <= 90.0
