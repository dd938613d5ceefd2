"""Headers, rows and places of coordinate files against PROJ, and what is refused."""

import pyproj
import pytest

from reconstruction.coordinate_file import PhotoNames, parse_crs, read_coordinate_file
from reconstruction.errors import InputError


@pytest.fixture
def read(tmp_path):
    def reader(text, least_fields=3):
        path = tmp_path / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_coordinate_file(path, least_fields, "x y z")

    return reader


@pytest.mark.parametrize(
    ("header", "epsg"),
    [
        ("EPSG:32615", 32615),
        ("epsg:32615", 32615),
        ("WGS84 UTM 15N", 32615),
        ("WGS84 UTM 56S", 32756),
        ("WGS84 UTM 15", 32615),
        ("wgs84 utm 15n", 32615),
        ("WGS 84 / UTM zone 15N", 32615),
        ("WGS84", 4326),
        ("EPSG:4326", 4326),
        ("'+proj=utm +zone=15 +datum=WGS84 +units=m +no_defs'", 32615),
    ],
)
def test_headers(header, epsg):
    assert parse_crs(header, "f").equals(pyproj.CRS(epsg), ignore_axis_order=True) or (
        parse_crs(header, "f").to_epsg() == epsg
    )


@pytest.mark.parametrize(
    "header",
    ["EPSG:999999", "EPSG:", "WGS84 UTM 61N", "WGS84 UTM 0N", "UTM", "", "+proj=nonsense", "1 2 3"],
)
def test_bad_headers_are_refused_with_examples(header):
    with pytest.raises(InputError, match=r"is not a CRS.*EPSG:32616"):
        parse_crs(header, "gcp_list.txt")


def test_a_vertical_crs_is_no_place():
    with pytest.raises(InputError, match="no horizontal"):
        parse_crs("EPSG:5703", "f")


@pytest.mark.parametrize(
    ("header", "datum", "epsg", "metres"),
    [
        ("EPSG:32615", "unknown", 32615, 1.0),
        ("EPSG:4326", "unknown", None, 1.0),
        ("EPSG:4979", "ellipsoidal", None, 1.0),
        ("EPSG:32615+5773", "EGM96 height", 32615, 1.0),
        ("EPSG:2264+6360", "NAVD88 height (ftUS)", None, 1200.0 / 3937.0),
    ],
)
def test_vertical_part(read, header, datum, epsg, metres):
    file = read(f"{header}\na 1 2\n")
    assert file.vertical_datum == datum
    assert file.epsg == epsg
    assert file.elevation_m(100.0) == pytest.approx(100.0 * metres)


def test_elevations_of_unknown_unit_are_refused(read):
    with pytest.raises(InputError, match=r"not in metres.*EPSG:2264\+6360"):
        read("EPSG:2264\na 1 2\n").elevation_m(100.0)


@pytest.mark.parametrize(
    ("header", "x", "y", "latitude", "longitude"),
    [
        ("WGS84 UTM 15N", 500_000.0, 0.0, 0.0, -93.0),
        ("WGS84 UTM 56S", 500_000.0, 10_000_000.0, 0.0, 153.0),
        ("EPSG:4326", -91.99, 46.84, 46.84, -91.99),
        ("WGS84", -91.99, 46.84, 46.84, -91.99),
    ],
)
def test_places(read, header, x, y, latitude, longitude):
    file = read(f"{header}\na {x} {y}\n")
    assert file.geodetic(file.rows[0], x, y) == pytest.approx((latitude, longitude), abs=1e-9)


def test_swapped_coordinates_are_refused(read):
    file = read("EPSG:4326\na 46.84 -91.99\n")
    with pytest.raises(InputError, match=r"line 2.*x is the easting"):
        file.geodetic(file.rows[0], 46.84, -191.99)


def test_comments_blank_lines_byte_order_mark_and_line_ends(read):
    file = read(b"\xef\xbb\xbf# who\r\n\r\nEPSG:32615\r\n# a note\r\na 1 2\r\n\r\nb\t3\t4\r\n")
    assert [(row.line, row.fields) for row in file.rows] == [
        (5, ("a", "1", "2")),
        (7, ("b", "3", "4")),
    ]


def test_tabs_keep_spaces_in_names(read):
    file = read("EPSG:32615\n1\t2\t3\t4\t5\tphoto 1.jpg\tpoint A\n")
    assert file.rows[0].fields == ("1", "2", "3", "4", "5", "photo 1.jpg", "point A")


@pytest.mark.parametrize(
    "row",
    [
        "1;2;3;4;5;photo 1.jpg;point A;CHK",
        "1; 2; 3; 4; 5; photo 1.jpg; point A; CHK",
        '1;2;3;4;5;"photo 1.jpg";"point A";CHK;;',
        "1,2,3,4,5,photo 1.jpg,point A,CHK",
        '1\t2\t3\t4\t5\t"photo 1.jpg"\tpoint A\tCHK',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write(read, row, encoding):
    file = read(f'"EPSG:32615";;;;;\r\n{row}\r\n'.encode(encoding), 6)
    fields = tuple(field for field in file.rows[0].fields if field)
    assert fields == ("1", "2", "3", "4", "5", "photo 1.jpg", "point A", "CHK")
    assert file.epsg == 32615


def test_commas_after_columns_are_no_part_of_them(read):
    file = read("EPSG:32615\n1.5, 2.5, 3, 4, 5, a.jpg, A\n", 6)
    assert file.rows[0].fields == ("1.5", "2.5", "3", "4", "5", "a.jpg", "A")


@pytest.mark.parametrize("row", ["1,5;2,5;3;4;5;a.jpg", "1,5 2,5 3,0 4,0 5,0 a.jpg"])
def test_decimal_commas_are_refused_with_a_remedy(read, row):
    file = read(f"EPSG:32615\n{row}\n", 6)
    with pytest.raises(InputError, match=r"'1,5' is not a number.*decimal point"):
        file.number(file.rows[0], 0, "x")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a note\n"])
def test_empty_file(read, text):
    with pytest.raises(InputError, match="is empty"):
        read(text)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_coordinate_file(tmp_path / "none.txt", 3, "x y z")


def test_missing_columns_name_the_line(read):
    with pytest.raises(InputError, match="line 3: 2 columns"):
        read("EPSG:32615\na 1 2\nb 1\n")


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1,5", ""])
def test_numbers(read, text):
    file = read("EPSG:32615\na\t1\t2\t\t\t\t\n" if not text else f"EPSG:32615\na {text} 2\n")
    with pytest.raises(InputError, match="line 2: x"):
        file.number(file.rows[0], 1 if text else 0, "x")


def test_binary_rubbish_is_refused(read):
    with pytest.raises(InputError, match="is not a CRS"):
        read(bytes(range(256)) * 10)


NAMES = PhotoNames(["DJI_1.JPG", "east/IMG_2.jpg", "west/IMG_2.jpg", "c.tif"])


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("DJI_1.JPG", ("DJI_1.JPG",)),
        ("dji_1.jpg", ("DJI_1.JPG",)),
        ("DJI_1", ("DJI_1.JPG",)),
        ("DJI_1.tif", ("DJI_1.JPG",)),
        ("images/DJI_1.JPG", ("DJI_1.JPG",)),
        ("C:\\flight\\DJI_1.JPG", ("DJI_1.JPG",)),
        ("west/img_2.JPG", ("west/IMG_2.jpg",)),
        ("IMG_2.jpg", ("east/IMG_2.jpg", "west/IMG_2.jpg")),
        ("DJI_11.JPG", ()),
    ],
)
def test_photo_names(written, found):
    assert NAMES.find(written) == found
