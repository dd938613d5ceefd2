"""Georeferencing puts planted flights back in place, level and to scale, or says why not."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel
from reconstruction.camera import Shot
from reconstruction.control import CheckPoint, Control, ControlPoint
from reconstruction.errors import InputError
from reconstruction.georeference import thinned
from reconstruction.turned import turned_back

from .planted_survey import (
    FRAME,
    LENS,
    TARGETS,
    errors,
    flight,
    free,
    observe,
    photos_of,
    run,
    surveyed,
)


@pytest.fixture(scope="module")
def truth() -> tuple[SparseModel, np.ndarray]:
    return flight()


def _lean_deg(result, truth: SparseModel) -> float:
    """How far the block is out of level."""
    planted = {shot.name: shot.rotation for shot in truth.shots}
    turns = [shot.rotation.T @ planted[shot.name] for shot in result.block.shots]
    mean = Rotation.from_matrix(np.array(turns)).mean().as_matrix()
    return float(np.degrees(np.arccos(np.clip(mean[2, 2], -1.0, 1.0))))


def test_rtk_flight_comes_back_to_centimetres(truth):
    model, _ = truth
    result = run(free(model), photos_of(model, "rtk"))
    assert np.abs(errors(result, model)).max() < 0.06
    assert result.block.frame.epsg == 32633
    assert result.vertical_datum == "ellipsoidal"
    assert result.notes == ()
    lens = result.block.cameras["drone"]
    sigma = result.accuracy["cameras"]["drone"]["focal_px_sigma"]
    assert abs(lens.focal_px - LENS.focal_px) < 4.0 * sigma
    assert result.accuracy["scale_sigma"] < 2e-3


def test_altitudes_that_drift_do_not_tilt_the_block(truth):
    """53 m of drift over the flight, as a real camera wrote it."""
    model, _ = truth
    photos = list(photos_of(model, "consumer"))
    for number, photo in enumerate(photos):
        drift = 53.0 * number / (len(photos) - 1)
        position = replace(photo.position, altitude_m=photo.position.altitude_m + drift)
        photos[number] = replace(photo, position=position)
    result = run(free(model), tuple(photos))
    assert _lean_deg(result, model) < 4.0
    assert any("altitudes contradict" in note for note in result.notes)
    # They still tell how high the site lies, to no better than they differ among each other.
    off_m = abs(float(errors(result, model)[:, 2].mean()))
    assert off_m < 53.0 < result.accuracy["vertical_sigma_m"] < 100.0


def test_elevations_are_no_better_than_the_receiver_whatever_the_number_of_points(truth):
    model, _ = truth
    result = run(free(model), photos_of(model, "consumer"))
    # That the whole may lean or be too large is no bending of it.
    assert result.accuracy["tilt_sigma"] > 0.005
    assert result.accuracy["block_deformation"][-1]["sigma_m"] < 0.05
    # 8 m that all altitudes share, and 8 m of each of the 20; focal length and scale add to it.
    receiver_m = 8.0 * np.sqrt(1.0 + 1.0 / 20.0)
    assert receiver_m < result.accuracy["vertical_sigma_m"] < 1.1 * receiver_m


def test_a_receiver_that_wanders_slowly_tells_the_scale(truth):
    """Metres off, but nearly the same metres from photo to photo."""
    model, _ = truth
    steps_m = np.random.default_rng(6).normal(0.0, 0.15, (20, 2))
    walk_m = 2.0 + np.cumsum(steps_m, axis=0)
    photos = [
        replace(
            photo,
            position=replace(
                photo.position,
                latitude_deg=photo.position.latitude_deg + north / 111_200.0,
                longitude_deg=photo.position.longitude_deg + east / 74_300.0,
                horizontal_sigma_m=3.0,
                vertical_sigma_m=8.0,
            ),
        )
        for photo, (east, north) in zip(photos_of(model, "rtk"), walk_m, strict=True)
    ]
    result = run(free(model), tuple(photos))
    centres = np.array([[shot.centre for shot in block.shots] for block in (result.block, model)])
    found, planted = np.linalg.norm(centres - centres.mean(axis=1, keepdims=True), axis=(1, 2))
    sigma = result.accuracy["horizontal_scale_sigma"]
    assert sigma < 0.006
    assert abs(found / planted - 1.0) < 3.0 * sigma


@pytest.mark.parametrize("delay_s", [3.0, 0.0])
def test_a_receiver_that_lags_behind_the_photos_is_found(truth, delay_s):
    """Strips to and fro at 5 m/s, where the receiver was seconds before, off by a slow walk."""
    model, _ = truth
    order = [
        row * 5 + (column if row % 2 else 4 - column) for row in range(4) for column in range(5)
    ]
    centres = np.array([model.shots[number].centre for number in order])
    seconds = 5.0 * np.arange(20)
    past = np.column_stack([np.interp(seconds - delay_s, seconds, axis) for axis in centres.T])
    walk_m = np.cumsum(np.random.default_rng(3).normal(0.0, 0.3, (20, 3)), axis=0)
    photos = list(photos_of(model, "consumer"))
    for number, second, place in zip(order, seconds, past + walk_m, strict=True):
        latitude, longitude, altitude = FRAME.to_geodetic(place[None])
        photos[number] = replace(
            photos[number],
            captured_at=f"2026-05-04T10:{int(second) // 60:02d}:{int(second) % 60:02d}",
            position=replace(
                photos[number].position, latitude_deg=float(latitude[0]),
                longitude_deg=float(longitude[0]), altitude_m=float(altitude[0]),
            ),
        )  # fmt: skip
    result = run(free(model), tuple(photos))
    sigma = result.accuracy["position_delay_s_sigma"]
    assert sigma < 0.5
    assert abs(result.accuracy["position_delay_s"] - delay_s) < 3.0 * sigma
    assert any("lag behind the photos by" in note for note in result.notes) == (delay_s > 0.0)
    found, planted = (
        np.linalg.norm(places - places.mean(axis=0))
        for block in (result.block, model)
        for places in [np.array([shot.centre for shot in block.shots])]
    )
    scale_sigma = result.accuracy["horizontal_scale_sigma"]
    assert scale_sigma < 0.03
    assert abs(found / planted - 1.0) < 3.0 * scale_sigma


def test_gimbal_overrules_a_hillside_flight(truth):
    """A flight along a slope of 15°: planes and views lean, the gimbal knows."""
    model, _ = truth
    lean = Rotation.from_euler("y", 15.0, degrees=True).as_matrix()
    hillside = replace(
        model,
        shots=tuple(
            replace(shot, rotation=shot.rotation @ lean.T, centre=lean @ shot.centre)
            for shot in model.shots
        ),
        tie_points=replace(model.tie_points, points=model.tie_points.points @ lean.T),
    )
    photos = []
    for photo, shot in zip(photos_of(hillside, "consumer"), hillside.shots, strict=True):
        x, y, z = -shot.rotation[:, 2]
        pitch = np.degrees(np.arcsin(-z))
        roll = np.degrees(np.arctan2(x, y))
        photos.append(replace(photo, pitch_deg=float(pitch), roll_deg=float(roll)))
    result = run(free(hillside), tuple(photos))
    assert _lean_deg(result, hillside) < 3.0


def test_wild_positions_are_named_and_do_not_matter(truth):
    model, _ = truth
    photos = list(photos_of(model, "rtk"))
    for number, (north, up) in ((3, (0.004, 0.0)), (11, (0.0, 300.0))):
        position = photos[number].position
        photos[number] = replace(
            photos[number],
            position=replace(
                position,
                latitude_deg=position.latitude_deg + north,
                altitude_m=position.altitude_m + up,
            ),
        )
    result = run(free(model), tuple(photos))
    assert np.abs(errors(result, model)).max() < 0.1
    told = "\n".join(result.notes)
    assert re.search(rf"1 measured position is up to \d+\.\d m .*: {photos[3].name}\.", told)
    assert re.search(rf"measured altitude is up to 300\.\d m .*: {photos[11].name}\.", told)


def test_control_alone_is_enough(truth):
    """The ground is right; how high the cameras hang is as uncertain as the focal length."""
    model, _ = truth
    check = surveyed(model, CheckPoint, [[20.0, 12.0, 1.0], [-20.0, 25.0, 2.0], [5.0, -30.0, 0.0]])
    control = Control(surveyed(model, ControlPoint, TARGETS), check, 32633, "EVRF2007 height")
    result = run(free(model), photos_of(model, None), control)
    assert result.vertical_datum == "EVRF2007 height"
    residuals = [point["residual_m"] for point in result.accuracy["control_points"]]
    assert np.abs(residuals).max() < 0.05
    rmse = result.accuracy["check_point_rmse_m"]
    assert rmse["horizontal"] < 0.04
    assert rmse["vertical"] < 0.08
    lens_sigma = result.accuracy["cameras"]["drone"]["focal_px_sigma"] / LENS.focal_px
    assert np.abs(errors(result, model)[:, 2]).max() < 60.0 * 4.0 * lens_sigma


def test_stated_focal_length_that_the_photos_contradict_is_named_and_yields(truth):
    model, _ = truth
    control = Control(surveyed(model, ControlPoint, TARGETS), (), 32633, "unknown")
    stated = tuple(
        replace(photo, focal_px=1.08 * LENS.focal_px, focal_sigma=0.03)
        for photo in photos_of(model, "rtk")
    )
    result = run(free(model), stated, control)
    lens = result.accuracy["cameras"]["drone"]
    assert lens["focal_stated_px"] == 1.08 * LENS.focal_px
    assert abs(lens["focal_px"] - LENS.focal_px) < 3.0 * lens["focal_px_sigma"]
    (note,) = result.notes
    assert f"state a focal length of {1.08 * LENS.focal_px:.0f}" in note


def test_check_points_never_enter_the_adjustment(truth):
    model, _ = truth
    points = surveyed(model, ControlPoint, TARGETS)
    check = surveyed(model, CheckPoint, [[30.0, 10.0, 1.0], [-20.0, 30.0, 2.0]])
    away = tuple(replace(point, elevation_m=point.elevation_m + 5.0) for point in check)
    photos = photos_of(model, "consumer")
    honest, wrong = (
        run(free(model), photos, Control(points, chosen, 32633, "unknown"))
        for chosen in (check, away)
    )
    for one, other in zip(honest.block.shots, wrong.block.shots, strict=True):
        np.testing.assert_array_equal(one.centre, other.centre)
    assert honest.accuracy["check_point_rmse_m"]["vertical"] < 0.06
    assert wrong.accuracy["check_point_rmse_m"]["vertical"] == pytest.approx(5.0, abs=0.06)


def test_neither_positions_nor_control_is_refused(truth):
    model, _ = truth
    with pytest.raises(InputError, match="scale and place are unknown"):
        run(free(model), photos_of(model, None))


def test_result_does_not_depend_on_where_the_free_model_lies(truth):
    model, _ = truth
    photos = photos_of(model, "consumer", gimbal=True)
    one, other = (run(free(model, lean), photos) for lean in (10.0, 160.0))
    np.testing.assert_allclose(errors(one, model), errors(other, model), atol=0.02)


def test_thinning_keeps_every_part_of_every_photo(truth):
    model, _ = truth
    rng = np.random.default_rng(2)
    many = np.repeat(model.tie_points.points, 24, axis=0) + rng.normal(0, 0.5, (21600, 3))
    dense = replace(model, tie_points=observe(rng, many, list(model.shots)))
    kept = thinned(dense.tie_points, len(dense.shots), dense)
    assert len(kept.pixels) < 0.5 * len(dense.tie_points.pixels)
    for index in range(len(dense.shots)):
        before = dense.tie_points.pixels[dense.tie_points.shot_index == index] // [375, 250]
        after = kept.pixels[kept.shot_index == index] // [375, 250]
        assert len(np.unique(after, axis=0)) == len(np.unique(before, axis=0))


def _heading_deg(shot: Shot) -> float:
    east, north, _ = -shot.rotation[1]
    return float(np.degrees(np.arctan2(east, north)))


def test_photos_turned_in_their_files_get_a_turned_camera(truth):
    """A viewer turned one strip by 180 degrees; the principal point went with it."""
    model, _ = truth
    names = {shot.name for shot in model.shots if shot.name.startswith("2")}
    photos = tuple(
        replace(photo, yaw_deg=_heading_deg(shot))
        for photo, shot in zip(photos_of(model, "rtk", gimbal=True), model.shots, strict=True)
    )
    turned = turned_back(model, frozenset(names))
    result = run(free(turned), photos)
    assert np.abs(errors(result, model)).max() < 0.06
    assert "5 photos were turned" in " ".join(result.notes)
    cameras = result.block.cameras
    assert set(cameras) == {"drone", "drone (turned)"}
    assert cameras["drone"].cx_px == pytest.approx(LENS.cx_px, abs=2.0)
    assert cameras["drone (turned)"].cx_px == pytest.approx(2999.0 - LENS.cx_px, abs=2.0)
    for shot in result.block.shots:
        assert (shot.camera == "drone (turned)") == (shot.name in names)


def test_a_wrong_yaw_does_not_turn_a_photo(truth):
    model, _ = truth
    photos = tuple(
        replace(photo, yaw_deg=_heading_deg(shot) + (180.0 if index < 5 else 0.0))
        for index, (photo, shot) in enumerate(
            zip(photos_of(model, "rtk", gimbal=True), model.shots, strict=True)
        )
    )
    result = run(free(model), photos)
    assert set(result.block.cameras) == {"drone"}
    assert np.abs(errors(result, model)).max() < 0.06


def test_photos_that_too_little_holds_are_left_out_and_named(truth):
    model, _ = truth
    ties = model.tie_points
    loose = ties.shot_index == 7
    kept = ~loose | (np.cumsum(loose) <= 8)
    thin = replace(
        ties,
        shot_index=ties.shot_index[kept],
        point_index=ties.point_index[kept],
        pixels=ties.pixels[kept],
    )
    result = run(free(replace(model, tie_points=thin)), photos_of(model, "rtk"))
    names = [shot.name for shot in result.block.shots]
    assert len(names) == 19
    assert model.shots[7].name not in names
    assert any("1 photo is left out, showing too little" in note for note in result.notes)


def test_a_flight_that_nothing_holds_together_is_refused(truth):
    model, _ = truth
    few = model.tie_points.point_index < 12
    ties = replace(
        model.tie_points,
        shot_index=model.tie_points.shot_index[few],
        point_index=model.tie_points.point_index[few],
        pixels=model.tie_points.pixels[few],
    )
    with pytest.raises(InputError, match="do not hold the 20 photos together"):
        run(free(replace(model, tie_points=ties)), photos_of(model, "rtk"))


@pytest.mark.parametrize(
    ("receiver", "said"),
    [("rtk", "hardly tell the lens.*strips"), ("consumer", "distances.*Five ground control")],
)
def test_a_single_strip_is_told_to_be_uncertain(truth, receiver, said):
    model, points = truth
    shots = list(model.shots[5:8])
    ties = observe(np.random.default_rng(3), points, shots)
    strip = replace(model, shots=tuple(shots), tie_points=ties)
    result = run(free(strip), photos_of(strip, receiver, gimbal=True))
    (note,) = [note for note in result.notes if "uncertain" in note]
    assert re.search(said, note)
    # What it says of volumes holds what came of the scale.
    planted = np.linalg.norm(model.shots[5].centre - model.shots[7].centre)
    found = np.linalg.norm(result.block.shots[0].centre - result.block.shots[2].centre)
    assert abs(found / planted - 1.0) < 3.0 * result.accuracy["horizontal_scale_sigma"]


def test_precise_positions_of_other_photos_are_not_precise(truth):
    model, _ = truth
    photos = photos_of(model, "rtk")
    swapped = tuple(
        replace(photo, position=photos[number ^ 1].position) for number, photo in enumerate(photos)
    )
    result = run(free(model), swapped)
    (note,) = [note for note in result.notes if "uncertain" in note]
    assert re.search(r"distances are known to ± \d.*ground control", note)
    assert re.search(r"20 measured positions are up to \d+\.\d m away", "\n".join(result.notes))


@pytest.mark.parametrize(("smear_px", "is_told"), [(0.0, False), (3.0, True)])
def test_photos_that_fit_each_other_badly_are_told(truth, smear_px, is_told):
    model, _ = truth
    pixels = model.tie_points.pixels
    smear = np.random.default_rng(6).normal(0.0, smear_px, pixels.shape)
    poor = replace(model, tie_points=replace(model.tie_points, pixels=pixels + smear))
    notes = run(free(poor), photos_of(poor, "rtk")).notes
    assert any("fit each other to 2." in note for note in notes) == is_told
