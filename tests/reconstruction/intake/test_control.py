"""Ground control lists: planted points come back, slips of the pen are refused."""

import re

import pyproj
import pytest

from reconstruction.control import CheckPoint, Control, ControlPoint, Observation
from reconstruction.control_list import read_control
from reconstruction.errors import InputError


@pytest.fixture
def read(tmp_path, photo):
    positioned = tuple(photo(f"IMG_{n}.JPG", 10.0 * n, 0.0) for n in range(4))

    def reader(text, photos=positioned):
        path = tmp_path / "gcp_list.txt"
        path.write_text(text)
        return read_control(path, photos)

    return reader


def rows(name, x, y, z=200.0, images=(0, 1), extra=""):
    return "".join(f"{x} {y} {z} 1{n}.5 20 img_{n} {name} {extra}\n" for n in images)


def test_planted_points_come_back(read):
    text = "EPSG:32615\n" + rows("G1", 500_400, 5_187_800) + rows("CHK-2", 500_450, 5_187_850, 210)
    control = read(text)
    (gcp,), (check,) = control.control_points, control.check_points
    to_map = pyproj.Transformer.from_crs(4326, 32615, always_xy=True)
    assert to_map.transform(gcp.longitude_deg, gcp.latitude_deg) == pytest.approx(
        (500_400, 5_187_800), abs=1e-4
    )
    assert (gcp.name, gcp.elevation_m) == ("G1", 200.0)
    assert gcp.observations == (
        Observation("IMG_0.JPG", 10.5, 20.0),
        Observation("IMG_1.JPG", 11.5, 20.0),
    )
    assert (check.name, check.elevation_m) == ("CHK-2", 210.0)
    assert isinstance(gcp, ControlPoint)
    assert isinstance(check, CheckPoint)
    assert (control.epsg, control.vertical_datum, control.notes) == (32615, "unknown", ())


def test_save_and_load(read, tmp_path):
    control = read("EPSG:32615\n" + rows("A", 1e5, 5e6) + rows("CHK", 2e5, 5e6) + "1 2 3 4 5 z\n")
    control.save(tmp_path)
    assert Control.load(tmp_path) == control


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("CHK1", ""),
        ("chk-1", ""),
        ("Check_1", ""),
        ("checkpoint7", ""),
        ("CHK", ""),
        ("7", "CHK"),
        ("7", "check"),
        ("7", "note checkpoint"),
    ],
)
def test_check_points_by_prefix_or_column(read, name, extra):
    control = read("EPSG:32615\n" + rows(name, 5e5, 5e6, extra=extra))
    assert len(control.check_points) == 1
    assert control.control_points == ()


@pytest.mark.parametrize("name", ["G1", "Checkerboard3", "chkalov", "1", "p-chk"])
def test_other_names_are_control(read, name):
    assert len(read("EPSG:32615\n" + rows(name, 5e5, 5e6)).control_points) == 1


def test_one_check_row_makes_the_point_a_check_point(read):
    text = "EPSG:32615\n" + rows("7", 5e5, 5e6) + rows("7", 5e5, 5e6, images=(2,), extra="CHK")
    control = read(text)
    assert control.control_points == ()
    assert len(control.check_points[0].observations) == 3


def test_points_without_names_are_one_by_coordinates(read):
    text = "WGS84 UTM 15N\n" + rows("", 5e5, 5e6) + rows("", 5.001e5, 5e6)
    assert [len(point.observations) for point in read(text).control_points] == [2, 2]


def test_unknown_images_and_lonely_points_are_noted(read):
    text = "EPSG:32615\n" + rows("A", 5e5, 5e6, images=(0, 1, 8)) + rows("B", 6e5, 5e6, images=(2,))
    control = read(text)
    assert [point.name for point in control.control_points] == ["A"]
    assert control.notes[0] == "1 row names images that are not in this flight: img_8"
    assert control.notes[1].startswith("B is marked in 1 photo of")


def test_vertical_datum_and_unit(read):
    control = read("EPSG:2264+6360\n" + rows("A", 1.5e6, 5e5, 656.1666667))
    assert control.control_points[0].elevation_m == pytest.approx(200.0, abs=1e-3)
    assert control.vertical_datum == "NAVD88 height (ftUS)"
    assert control.epsg is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EPSG:32615\n1 2 3 -1 5 IMG_0 A\n", r"line 2: pixel -1, 5 is outside.*4000 x 3000"),
        ("EPSG:32615\n1 2 3 4000 5 IMG_0 A\n", r"line 2: pixel 4000, 5 is outside"),
        ("EPSG:32615\n1 2 3 nan 5 IMG_0 A\n", r"line 2: pixel x 'nan'"),
        ("EPSG:32615\n500000,5 2 3 4 5 IMG_0 A\n", r"line 2.*decimal point"),
        ("EPSG:32615\n1 2 3 4 IMG_0\n", r"line 2: 5 columns"),
        ("EPSG:99999\n" + rows("A", 1, 2), r"not a CRS"),
        (rows("A", 1, 2), r"not a CRS"),
        ("EPSG:32615\n", r"no point of it can be used"),
        (
            "EPSG:32615\n" + rows("A", 5e5, 5e6, images=(8, 9)),
            r"can be used\. 2 rows name images .*: img_8, img_9",
        ),
        (
            "EPSG:32615\n" + rows("A", 5e5, 5e6) + "500000 5000000 200 99 99 IMG_1 A\n",
            r"line 4: A is marked a second time in IMG_1.*line 3",
        ),
    ],
)
def test_slips_of_the_pen_are_refused_with_a_remedy(read, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "there", "told"),
    [
        ("A", (5e5, 5e6 + 0.02, 200.0), r"A was left out: in line 4 it is 0\.020 m .* line 2"),
        ("A", (5e5, 5e6, 200.5), r"A was left out: in line 4 it is 0\.500 m away"),
        ("", (5e5, 5e6, 200.5), r"point 1 in line 2 was left out: in line 4 it is 0\.500 m away"),
    ],
)
def test_a_point_at_two_places_is_left_out(read, name, there, told):
    """Which of them is right, nobody can tell."""
    points = rows(name, 5e5, 5e6) + rows(name, *there, images=(2,)) + rows("B", 6e5, 5e6)
    control = read("EPSG:32615\n" + points)
    assert [point.name for point in control.control_points] == ["B"]
    (note,) = control.notes
    assert re.match(told, note)


def test_elevations_that_nobody_measured_hold_a_site_level_only(read):
    """All the same, as lists have where there was no levelling; a list of check points is not."""
    places = [(0, 0), (100, 0), (100, 60), (0, 60)]
    flat, measured = (
        read("EPSG:32615\n" + "".join(
            rows(f"P{n}", 5e5 + e, 5e6 + north, rise * n) for n, (e, north) in enumerate(places)
        ))
        for rise in (0.0, 0.01)
    )  # fmt: skip
    assert measured.notes == ()
    (note,) = flat.notes
    assert note.startswith("All 4 ground control points have the elevation 0 m")
    assert {point.horizontal_sigma_m for point in flat.control_points} == {0.02}
    # A slope of some per cent over the site.
    assert 2.0 < flat.control_points[0].vertical_sigma_m < 15.0
    assert measured.control_points[0].vertical_sigma_m == 0.03


def test_a_row_given_twice_counts_once(read):
    control = read("EPSG:32615\n" + rows("A", 5e5, 5e6) + rows("A", 5e5, 5e6))
    assert len(control.control_points[0].observations) == 2


def test_without_positions_three_points_off_a_line_are_needed(read, photo):
    photos = tuple(photo(f"IMG_{n}.JPG") for n in range(4))
    two = "EPSG:32615\n" + rows("A", 5e5, 5e6) + rows("B", 5.001e5, 5e6)
    with pytest.raises(InputError, match=r"ground control points \(2\), .* position \(0\)"):
        read(two, photos)
    with pytest.raises(InputError, match="in one line"):
        read(two + rows("C", 5.002e5, 5e6 + 0.5), photos)
    assert len(read(two + rows("C", 5e5, 5.0001e6), photos).control_points) == 3
    # Easting and northing swapped: from so far away three good points look like one place.
    three = two + rows("C", 5e5, 5.0001e6)
    assert len(read(three + rows("D", 5.0001e6, 5e5), photos).control_points) == 4


def test_ambiguous_image_asks_for_its_folder(read, photo):
    photos = (photo("e/IMG_0.JPG", 0, 0), photo("w/IMG_0.JPG", 1, 0), photo("IMG_1.JPG", 2, 0))
    with pytest.raises(InputError, match=r"line 2: img_0 may be e/IMG_0.JPG or w/IMG_0.JPG"):
        read("EPSG:32615\n" + rows("A", 5e5, 5e6), photos)


def test_ten_thousand_lines(read):
    points = "".join(rows(f"P{n}", 5e5 + n, 5e6 + n % 7, images=range(4)) for n in range(2500))
    assert len(read("EPSG:32615\n" + points).control_points) == 2500
