"""The verdict on described flights: each planted fault is found, and nothing else."""

from dataclasses import replace

import pytest

from reconstruction.control import Control, ControlPoint
from reconstruction.errors import InputError
from reconstruction.flight import judge_flight
from reconstruction.verdict import FlightVerdict

POINT = ControlPoint("P", 46.5, 8.2, 0.0, 0.02, 0.03, ())


@pytest.fixture
def judge(sound):
    def judged(photos, quality=None, control=0, notes=()):
        listed = Control((POINT,) * control, (), None, "unknown", notes)
        return judge_flight(photos, quality or sound(len(photos)), control=listed)

    return judged


def codes(verdict, *levels):
    return {finding.code for finding in verdict.findings if finding.level in levels}


def finding(verdict, code):
    (found,) = (finding for finding in verdict.findings if finding.code == code)
    return found


def test_a_good_flight_has_no_warning_and_its_planted_numbers(judge, strips):
    verdict = judge(strips(6, 15))
    assert codes(verdict, "refuse", "warn") == set()
    assert codes(verdict, "info") == {"rtk-fixed"}
    assert verdict.usable
    assert verdict.photo_count == 90
    assert verdict.gsd_m == pytest.approx(0.01)
    assert verdict.flying_height_m == 30.0
    assert verdict.overlap == pytest.approx(0.8, abs=1e-3)
    assert verdict.area_m2 == pytest.approx(100.0 * 114.0, rel=0.03)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few(judge, strips, count):
    verdict = judge(strips()[:count])
    assert codes(verdict, "refuse") >= {"too-few"}
    with pytest.raises(InputError, match=f"Usable photos: {count}") as caught:
        verdict.require_usable()
    assert caught.value.hint


def test_the_same_place(judge, photo):
    verdict = judge(tuple(photo(f"p{n}", 0.1 * n, 0.0) for n in range(6)))
    assert codes(verdict, "refuse") == {"same-place"}
    assert "within 0.50 m" in finding(verdict, "same-place").message
    equal = tuple(photo(f"p{n}", 0.0, 0.0, None) for n in range(6))
    assert codes(judge(equal), "refuse") == {"same-place"}


def test_a_few_positions_in_one_place_refuse_nothing(judge, photo):
    photos = tuple(photo(f"p{n}", *((0.0, 0.0) if n < 3 else (None, None))) for n in range(12))
    assert judge(photos).usable


@pytest.mark.parametrize("longitude_deg", [8.2, -180.0])
def test_control_of_another_place(strips, sound, longitude_deg):
    photos = tuple(
        replace(photo, position=replace(photo.position, longitude_deg=longitude_deg))
        for photo in strips()
    )

    def said(longitude_deg):
        point = replace(POINT, longitude_deg=longitude_deg)
        control = Control((point,) * 3, (), None, "unknown", ())
        return judge_flight(photos, sound(len(photos)), control=control)

    assert "control-elsewhere" not in codes(said(abs(longitude_deg)), "warn")
    told = finding(said(longitude_deg + 6.0), "control-elsewhere")
    assert "460 km" in told.message
    assert "CRS" in told.remedy


def test_flights_without_altitudes(judge, strips):
    photos = tuple(
        replace(photo, position=replace(photo.position, altitude_m=None)) for photo in strips()
    )
    assert codes(judge(photos), "warn") == {"altitudes-missing"}
    assert "altitudes-missing" not in codes(judge(photos, control=3), "warn")


def test_no_overlap(judge, strips):
    verdict = judge(strips(4, 5, -1.5, -1.5))
    assert codes(verdict, "refuse") == {"no-overlap"}


def test_low_overlap_is_not_refused(judge, strips):
    verdict = judge(strips(4, 8, 0.4, 0.3))
    assert verdict.usable
    assert codes(verdict, "warn") == {"low-overlap", "thin-coverage"}
    assert "40%" in finding(verdict, "low-overlap").message


def test_no_positions_and_no_control_is_refused(judge, strips):
    photos = tuple(replace(p, position=None) for p in strips())
    for control in (0, 2):
        refused = finding(judge(photos, control=control), "no-positions")
        assert refused.level == "refuse"
        assert "ground control points" in refused.remedy
    two_left = (*strips()[:2], *photos[2:])
    assert "Only 2 photos" in finding(judge(two_left), "no-positions").message


def test_no_positions_but_control_goes_on(judge, strips):
    verdict = judge(tuple(replace(p, position=None) for p in strips()), control=3)
    assert verdict.usable
    assert codes(verdict, "warn") == set()
    assert "3 ground control points alone" in finding(verdict, "control-only").message
    assert "no positions" in finding(verdict, "overlap-unknown").message
    assert verdict.overlap is None


def test_what_is_left_out_of_the_control_list_is_told_at_once(judge, strips):
    told = finding(judge(strips(), control=3, notes=("B is marked in 1 photo",)), "control-list")
    assert (told.level, told.message) == ("warn", "B is marked in 1 photo")


def test_no_height_goes_on(judge, strips):
    verdict = judge(tuple(replace(p, relative_altitude_m=None) for p in strips()))
    assert verdict.usable
    assert "no flying height" in finding(verdict, "overlap-unknown").message
    assert verdict.gsd_m is None


def test_missing_and_wild_positions_are_named(judge, strips):
    photos = list(strips(6, 10))
    photos[4] = replace(photos[4], position=None)
    photos[7] = replace(photos[7], position=replace(photos[7].position, latitude_deg=0.5))
    verdict = judge(tuple(photos))
    assert verdict.usable
    assert finding(verdict, "positions-missing").photos == ("p0004",)
    assert finding(verdict, "positions-wild").photos == ("p0007",)
    assert codes(verdict, "warn") == {"positions-missing", "positions-wild"}


def test_gap(judge, strips):
    verdict = judge(strips(4, 8) + strips(2, 4, prefix="q", east_m=150.0))
    assert codes(verdict, "warn") == {"gaps"}
    assert finding(verdict, "gaps").photos == tuple(f"q{n:04d}" for n in range(8))


def test_repeated_positions(judge, strips):
    photos = list(strips(4, 8))
    for index in range(0, 32, 4):
        photos[index] = replace(photos[index], position=photos[index + 1].position)
    assert "8 of 32" in finding(judge(tuple(photos)), "positions-repeated").message


def test_partly_fixed_rtk(judge, strips):
    photos = list(strips())
    loose = replace(photos[2].position, horizontal_sigma_m=0.5, vertical_sigma_m=1.0)
    photos[2] = replace(photos[2], position=loose)
    assert finding(judge(tuple(photos)), "rtk-partly").photos == ("p0002",)


def test_coarse_positions(judge, strips):
    photos = tuple(
        replace(p, position=replace(p.position, horizontal_sigma_m=3.0, source="exif"))
        for p in strips()
    )
    assert codes(judge(photos), "info") == {"positions-coarse"}
    assert "no better" in finding(judge(photos), "positions-coarse").message
    controlled = finding(judge(photos, control=5), "positions-coarse")
    assert "5 ground control points" in controlled.message
    assert not controlled.remedy


def test_mixed_datums(judge, strips):
    photos = strips()
    photos = (replace(photos[0], altitude_datum="unknown"), *photos[1:])
    assert "1 unknown" in finding(judge(photos), "altitudes-mixed").message


def test_cameras_and_focal_lengths(judge, strips):
    photos = list(strips())
    photos[3] = replace(photos[3], camera="other", focal_px=None)
    verdict = judge(tuple(photos))
    assert codes(verdict, "warn") == {"cameras-rare", "focal-unknown"}
    assert codes(verdict, "info") == {"rtk-fixed", "cameras-mixed"}


def test_oblique_and_horizon(judge, strips):
    photos = list(strips(6, 10))
    photos[3] = replace(photos[3], pitch_deg=-45.0)
    photos[4] = replace(photos[4], pitch_deg=-5.0)
    verdict = judge(tuple(photos))
    assert finding(verdict, "oblique").photos == ("p0003", "p0004")
    assert finding(verdict, "horizon").photos == ("p0004",)


def test_pause_and_several_days(judge, strips):
    photos = strips()
    late = (*photos[:-1], replace(photos[-1], captured_at="2026-05-04T11:40:22.5"))
    assert "100 minutes" in finding(judge(late), "pause").message
    week = (*photos[:-1], replace(photos[-1], captured_at="2026-05-11T10:00:22"))
    assert "2026-05-04 to 2026-05-11" in finding(judge(week), "several-days").message


def test_blur_against_the_flight_itself(judge, strips, sound):
    photos, quality = strips(), list(sound(24))
    assert "blurred" not in codes(judge(photos, tuple(quality)), "warn")
    quality[6] = replace(quality[6], sharpness=0.5)
    verdict = judge(photos, tuple(quality))
    assert finding(verdict, "blurred").photos == ("p0006",)
    assert "soft" not in codes(verdict, "warn")


def test_a_soft_flight_is_called_soft_not_blurred(judge, strips, sound):
    quality = tuple(replace(q, sharpness=0.3 + 0.01 * n) for n, q in enumerate(sound(4)))
    assert codes(judge(strips(2, 2), quality), "warn") >= {"soft"}
    assert "blurred" not in codes(judge(strips(2, 2), quality), "warn")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"median_level": 12.0}, "dark"),
        ({"dark_fraction": 0.5}, "dark"),
        ({"bright_fraction": 0.4}, "bright"),
    ],
)
def test_exposure(judge, strips, sound, change, code):
    quality = list(sound(24))
    quality[1] = replace(quality[1], **change)
    verdict = judge(strips(), tuple(quality))
    assert finding(verdict, code).photos == ("p0001",)
    assert codes(verdict, "warn") == {code}


def test_set_aside_files_are_named(strips, sound):
    verdict = judge_flight(strips(), sound(24), (("<b>.jpg", "the file is empty (0 bytes)"),))
    found = finding(verdict, "set-aside")
    assert found.photos == ("<b>.jpg",)
    assert "<b>.jpg: the file is empty" in found.message


def test_gravest_first_and_json_round_trip(judge, strips):
    verdict = judge(strips()[:2])
    levels = [finding.level for finding in verdict.findings]
    assert levels == sorted(levels, key=["refuse", "warn", "info"].index)
    assert FlightVerdict.from_json(verdict.to_json()) == verdict


@pytest.mark.real
def test_real_flights_have_nothing_to_warn_of(real_flight):
    name, count, photo_set = real_flight
    verdict = photo_set.judged()
    assert verdict.photo_count == count
    assert codes(verdict, "refuse", "warn") == set()
    if name == "brighton_beach":
        assert verdict.gsd_m == pytest.approx(0.017, abs=0.001)
        assert 0.55 < verdict.overlap < 0.75
