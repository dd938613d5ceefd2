"""Georeferencing puts planted flights back in place, level and to scale, or says why not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.control import CheckPoint, Control, ControlPoint, Observation
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame
from reconstruction.georeference import (
    GeoreferenceInputs,
    GeoreferenceOptions,
    georeference,
    thinned,
)
from reconstruction.photo import Photo, Position
from reconstruction.stage import Run
from reconstruction.turned import turned_back

FRAME = LocalFrame(32633, 48.2, 15.6, 400.0)
LENS = Camera("drone", 3000, 2000, 2100.0, 1507.0, 992.0, -0.02, 0.01)
SIGMA = {"rtk": (0.015, 0.03), "consumer": (3.0, 8.0)}


@pytest.fixture(scope="module")
def truth() -> tuple[SparseModel, np.ndarray]:
    """Four strips of five photos over rolling ground, in the local frame."""
    rng = np.random.default_rng(1)
    plan = rng.uniform(-85.0, 85.0, (900, 2))
    height = 3.0 * np.sin(plan[:, 0] / 25.0) + 6.0 * np.exp(-np.sum(plan**2, axis=1) / 150.0)
    points = np.column_stack((plan, height))
    shots = []
    for row in range(4):
        for column in range(5):
            centre = np.array([column * 26.0 - 52.0, row * 32.0 - 48.0, 60.0])
            centre += rng.normal(0.0, 0.6, 3)
            turn = Rotation.from_euler("z", -90.0 if row % 2 else 90.0, degrees=True)
            down = Rotation.from_euler("x", 180.0, degrees=True) * turn
            tilt = Rotation.from_rotvec(rng.normal(0.0, 0.02, 3))
            shots.append(Shot(f"{row}{column}.jpg", "drone", (tilt * down).as_matrix(), centre))
    return SparseModel({"drone": LENS}, tuple(shots), _observe(rng, points, shots)), points


def _observe(rng: np.random.Generator, points: np.ndarray, shots: list[Shot]) -> TiePoints:
    found = []
    for index, shot in enumerate(shots):
        seen = shot.to_camera(points)
        pixel = LENS.project(seen) + rng.normal(0.0, 0.4, (len(points), 2))
        inside = (np.abs(seen[:, 0] / seen[:, 2]) < 0.8) & (
            (pixel > 0) & (pixel < [3000, 2000])
        ).all(1)
        number = np.flatnonzero(inside)
        found.append((np.full(len(number), index), number, pixel[inside]))
    shot, point, pixels = (np.concatenate(part) for part in zip(*found, strict=True))
    return TiePoints(points, shot.astype(np.int32), point.astype(np.int32), pixels)


def _free(truth: SparseModel, lean_deg: float = 70.0) -> SparseModel:
    """The model as structure from motion leaves it: any place, any scale, any up."""
    turn = Rotation.from_euler("xyz", [lean_deg, 20.0, 130.0], degrees=True).as_matrix()
    shift, scale = np.array([4.0, -7.0, 2.0]), 0.11
    shots = tuple(
        replace(shot, rotation=shot.rotation @ turn.T, centre=scale * turn @ shot.centre + shift)
        for shot in truth.shots
    )
    points = scale * truth.tie_points.points @ turn.T + shift
    cameras = {"drone": replace(LENS, focal_px=2115.0, cx_px=1499.5, cy_px=999.5)}
    return replace(
        truth, cameras=cameras, shots=shots, tie_points=replace(truth.tie_points, points=points)
    )


def _photos(truth: SparseModel, receiver: str | None, gimbal: bool = False) -> tuple[Photo, ...]:
    rng = np.random.default_rng(5)
    photos = []
    for number, shot in enumerate(truth.shots):
        position = None
        if receiver:
            h, v = SIGMA[receiver]
            place = shot.centre + rng.normal(0.0, 1.0, 3) * [h, h, v]
            latitude, longitude, altitude = FRAME.to_geodetic(place[None])
            position = Position(
                float(latitude[0]), float(longitude[0]), float(altitude[0]), h, v, receiver
            )
        photos.append(
            Photo(
                shot.name, Path(shot.name), "", 3000, 2000, "drone", 2110.0,
                f"2026-05-04T10:00:{number:02d}", position, None, -90.0 if gimbal else None,
                0.0 if gimbal else None, None, "ellipsoidal" if receiver == "rtk" else "unknown",
            )
        )  # fmt: skip
    return tuple(photos)


def _control(truth: SparseModel, kind: type, places: list[list[float]]) -> tuple:
    rng = np.random.default_rng(9)
    found = []
    for number, place in enumerate(places):
        xyz = np.array([place])
        latitude, longitude, elevation = FRAME.to_geodetic(xyz)
        marks = []
        for shot in truth.shots:
            pixel = LENS.project(shot.to_camera(xyz))[0] + rng.normal(0.0, 0.3, 2)
            if (pixel > 0).all() and (pixel < [3000, 2000]).all():
                marks.append(Observation(shot.name, float(pixel[0]), float(pixel[1])))
        found.append(
            kind(
                f"{kind.__name__}{number}", float(latitude[0]), float(longitude[0]),
                float(elevation[0]), 0.01, 0.01, tuple(marks),
            )
        )  # fmt: skip
    return tuple(found)


TARGETS = [[-40, -42, 0.5], [40, -38, 1.0], [36, 40, 2.0], [-42, 37, 0.2], [3, -2, 4.0]]


def _run(model: SparseModel, photos: tuple[Photo, ...], control: Control | None = None):
    return georeference(GeoreferenceInputs(model, photos, control), GeoreferenceOptions(), Run())


def _errors(result, truth: SparseModel) -> np.ndarray:
    """Errors of the centres in metres, through the map, as a user would compare them."""
    planted = {shot.name: FRAME.to_map(shot.centre[None])[0] for shot in truth.shots}
    return np.array(
        [
            result.block.frame.to_map(shot.centre[None])[0] - planted[shot.name]
            for shot in result.block.shots
        ]
    )


def _lean_deg(result, truth: SparseModel) -> float:
    """How far the block is out of level."""
    planted = {shot.name: shot.rotation for shot in truth.shots}
    turns = [shot.rotation.T @ planted[shot.name] for shot in result.block.shots]
    mean = Rotation.from_matrix(np.array(turns)).mean().as_matrix()
    return float(np.degrees(np.arccos(np.clip(mean[2, 2], -1.0, 1.0))))


def test_rtk_flight_comes_back_to_centimetres(truth):
    model, _ = truth
    result = _run(_free(model), _photos(model, "rtk"))
    assert np.abs(_errors(result, model)).max() < 0.06
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
    photos = list(_photos(model, "consumer"))
    for number, photo in enumerate(photos):
        drift = 53.0 * number / (len(photos) - 1)
        position = replace(photo.position, altitude_m=photo.position.altitude_m + drift)
        photos[number] = replace(photo, position=position)
    result = _run(_free(model), tuple(photos))
    assert _lean_deg(result, model) < 4.0
    assert any("altitudes contradict" in note for note in result.notes)


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
    for photo, shot in zip(_photos(hillside, "consumer"), hillside.shots, strict=True):
        x, y, z = -shot.rotation[:, 2]
        pitch = np.degrees(np.arcsin(-z))
        roll = np.degrees(np.arctan2(x, y))
        photos.append(replace(photo, pitch_deg=float(pitch), roll_deg=float(roll)))
    result = _run(_free(hillside), tuple(photos))
    assert _lean_deg(result, hillside) < 3.0


def test_wild_positions_are_named_and_do_not_matter(truth):
    model, _ = truth
    photos = list(_photos(model, "rtk"))
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
    result = _run(_free(model), tuple(photos))
    assert np.abs(_errors(result, model)).max() < 0.1
    assert any(photos[3].name in note for note in result.notes)


def test_control_alone_is_enough(truth):
    """The ground is right; how high the cameras hang is as uncertain as the focal length."""
    model, _ = truth
    check = _control(model, CheckPoint, [[20.0, 12.0, 1.0], [-20.0, 25.0, 2.0], [5.0, -30.0, 0.0]])
    control = Control(_control(model, ControlPoint, TARGETS), check, 32633, "EVRF2007 height")
    result = _run(_free(model), _photos(model, None), control)
    assert result.vertical_datum == "EVRF2007 height"
    residuals = [point["residual_m"] for point in result.accuracy["control_points"]]
    assert np.abs(residuals).max() < 0.05
    rmse = result.accuracy["check_point_rmse_m"]
    assert rmse["horizontal"] < 0.04
    assert rmse["vertical"] < 0.08
    lens_sigma = result.accuracy["cameras"]["drone"]["focal_px_sigma"] / LENS.focal_px
    assert np.abs(_errors(result, model)[:, 2]).max() < 60.0 * 4.0 * lens_sigma


def test_check_points_never_enter_the_adjustment(truth):
    model, _ = truth
    points = _control(model, ControlPoint, TARGETS)
    check = _control(model, CheckPoint, [[30.0, 10.0, 1.0], [-20.0, 30.0, 2.0]])
    away = tuple(replace(point, elevation_m=point.elevation_m + 5.0) for point in check)
    photos = _photos(model, "consumer")
    honest, wrong = (
        _run(_free(model), photos, Control(points, chosen, 32633, "unknown"))
        for chosen in (check, away)
    )
    for one, other in zip(honest.block.shots, wrong.block.shots, strict=True):
        np.testing.assert_array_equal(one.centre, other.centre)
    assert honest.accuracy["check_point_rmse_m"]["vertical"] < 0.06
    assert wrong.accuracy["check_point_rmse_m"]["vertical"] == pytest.approx(5.0, abs=0.06)


def test_neither_positions_nor_control_is_refused(truth):
    model, _ = truth
    with pytest.raises(InputError, match="scale and place are unknown"):
        _run(_free(model), _photos(model, None))


def test_result_does_not_depend_on_where_the_free_model_lies(truth):
    model, _ = truth
    photos = _photos(model, "consumer", gimbal=True)
    one, other = (_run(_free(model, lean), photos) for lean in (10.0, 160.0))
    np.testing.assert_allclose(_errors(one, model), _errors(other, model), atol=0.02)


def test_thinning_keeps_every_part_of_every_photo(truth):
    model, _ = truth
    rng = np.random.default_rng(2)
    many = np.repeat(model.tie_points.points, 12, axis=0) + rng.normal(0, 0.5, (10800, 3))
    dense = replace(model, tie_points=_observe(rng, many, list(model.shots)))
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
        for photo, shot in zip(_photos(model, "rtk", gimbal=True), model.shots, strict=True)
    )
    turned = turned_back(model, frozenset(names))
    result = _run(_free(turned), photos)
    assert np.abs(_errors(result, model)).max() < 0.06
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
            zip(_photos(model, "rtk", gimbal=True), model.shots, strict=True)
        )
    )
    result = _run(_free(model), photos)
    assert set(result.block.cameras) == {"drone"}
    assert np.abs(_errors(result, model)).max() < 0.06
