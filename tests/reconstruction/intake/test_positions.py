"""Position files override what the photos say."""

from dataclasses import replace

import pytest

from reconstruction.errors import InputError
from reconstruction.positions import apply_positions, without_unmeasured


@pytest.fixture
def apply(tmp_path, photo):
    photos = (photo("a.jpg", 0.0, 0.0), photo("b.jpg", 10.0, 0.0), photo("c.jpg"))

    def give(text, photos=photos):
        path = tmp_path / "geo.txt"
        path.write_text(text)
        return apply_positions(path, photos)

    return give


def test_planted_rows_come_back(apply):
    (a, b, c), notes = apply(
        "EPSG:4979\n"
        "A.JPG 8.201 46.501 198.6 10 20 30 0.02 0.05 label\n"
        "b.jpg 8.202 46.502 199.6\n"
        "c 8.203 46.503 200.6 0 0 0 0 0\n"
    )
    assert (a.position.latitude_deg, a.position.longitude_deg) == pytest.approx((46.501, 8.201))
    assert (a.position.altitude_m, a.position.source) == (198.6, "geo")
    assert (a.position.horizontal_sigma_m, a.position.vertical_sigma_m) == (0.02, 0.05)
    assert (b.position.horizontal_sigma_m, b.position.vertical_sigma_m) == (3.0, 8.0)
    assert (c.position.horizontal_sigma_m, c.position.vertical_sigma_m) == (3.0, 8.0)
    assert {photo.altitude_datum for photo in (a, b, c)} == {"ellipsoidal"}
    assert (a.yaw_deg, a.pitch_deg) == (0.0, -90.0)
    assert notes == ()


@pytest.mark.parametrize(
    ("header", "datum"), [("WGS84 UTM 15N", "unknown"), ("EPSG:32615+5773", "EGM96 height")]
)
def test_datum_is_that_of_the_file(apply, header, datum):
    (a, _, _), _ = apply(f"{header}\na.jpg 500000 5187000 200\n")
    assert a.altitude_datum == datum


def test_elevation_may_be_left_out(apply):
    (a, _, _), _ = apply("WGS84 UTM 15N\na.jpg 500000 5187000\n")
    assert a.position.altitude_m is None


def test_photos_that_are_not_listed_lose_their_altitude_only(apply):
    (_, b, c), notes = apply("EPSG:4326\na.jpg 8.2 46.5 200\nz.jpg 8.2 46.5 200\n")
    assert b.position.altitude_m is None
    assert b.position.latitude_deg == pytest.approx(46.5)
    assert c.position is None
    assert notes == (
        "geo.txt lists 1 image that is not here: z.jpg",
        "geo.txt does not list 2 photos, whose altitudes are not used",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EPSG:4326\na.jpg -92 46 200\nA.JPG -92 46 201\n", r"line 3.*first in line 2"),
        ("EPSG:4326\nz.jpg -92 46 200\n", r"none of its rows"),
        ("EPSG:4326\na.jpg -92 46 high\n", r"line 2: z 'high'"),
        ("EPSG:4326\na.jpg -92 146 200\n", r"line 2.*no place"),
        ("EPSG:4326\na.jpg -92 46 200 0 0 0 -1 1\n", r"line 2: horizontal accuracy -1"),
        ("EPSG:4326\na.jpg -92\n", r"line 2: 2 columns"),
        ("a.jpg -92 46 200\n", r"not a CRS"),
    ],
)
def test_errors_name_line_and_value(apply, text, message):
    with pytest.raises(InputError, match=message) as caught:
        apply(text)
    assert caught.value.hint


def test_ambiguous_name_asks_for_the_folder(apply, photo):
    photos = (photo("east/a.jpg"), photo("west/a.jpg"))
    with pytest.raises(InputError, match="with its folder"):
        apply("EPSG:4326\na.jpg -92 46 200\n", photos)
    (east, west), _ = apply("EPSG:4326\nwest/a.jpg -92 46 200\n", photos)
    assert (east.position, west.position is None) == (None, False)


@pytest.mark.parametrize(("tail", "said"), [("0.02 0.03", "z"), ("0 0 0 0.02", "the angles")])
def test_accuracies_at_the_wrong_place_are_told(apply, tail, said):
    (a, _, _), notes = apply(f"EPSG:4326\na.jpg 8.2 46.5 200 {tail}\n")
    assert (a.position.horizontal_sigma_m, a.position.vertical_sigma_m) == (3.0, 8.0)
    assert f"what follows {said} is not used" in notes[1]


@pytest.mark.parametrize(
    ("east_deg", "north_deg", "said"),
    [(2.0, 0.0, "km away"), (0.0, 1.0, "111 km"), (0.001, 0.001, "")],
)
def test_a_file_of_another_place_is_told(apply, photo, east_deg, north_deg, said):
    own = photo("a.jpg", 0.0, 0.0).position
    place = f"{own.longitude_deg + east_deg} {own.latitude_deg + north_deg}"
    _, notes = apply(f"EPSG:4326\na.jpg {place} 200\nb.jpg {place} 200\n")
    told = [note for note in notes if "themselves" in note]
    assert len(told) == bool(said)
    assert all(said in note for note in told)


@pytest.mark.parametrize(
    ("altitudes_m", "kept"), [((0.0, 0.0, 0.0), False), ((0.0, 0.0, 0.1), True)]
)
def test_altitudes_that_are_all_zero_were_not_measured(photo, altitudes_m, kept):
    photos = [photo(f"{number}.jpg", 10.0 * number, 0.0) for number in range(3)]
    photos = tuple(
        replace(photo, position=replace(photo.position, altitude_m=altitude_m))
        for photo, altitude_m in zip(photos, altitudes_m, strict=True)
    )
    believed, notes = without_unmeasured(photos)
    assert [photo.position.altitude_m for photo in believed] == list(
        altitudes_m if kept else (None, None, None)
    )
    assert bool(notes) != kept


def test_positions_that_are_all_the_same_were_not_measured(photo):
    still = tuple(photo(f"{number}.jpg", 0.0, 0.0) for number in range(3))
    believed, notes = without_unmeasured(still)
    assert {photo.position for photo in believed} == {None}
    assert "3 photos are the same" in notes[0]
    moving = (*still, photo("moved.jpg", 0.01, 0.0))
    assert without_unmeasured(moving) == (moving, ())
