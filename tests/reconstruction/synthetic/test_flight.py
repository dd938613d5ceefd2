"""A whole small flight: its files, what its photos say, and that it can be had again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer

from reconstruction.block import Block
from reconstruction.errors import OptionError
from reconstruction.stage import Run
from reconstruction.synthetic import Flight, FlightOptions, render_flight
from reconstruction.synthetic.flight import photo_facts
from reconstruction.synthetic.plan import fly, footprint, plan_flight, receive
from reconstruction.synthetic.quarry import quarry_frame

OPTIONS = FlightOptions(seed=4, size="small", photos=3, gcps=3, check_points=2)


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    return render_flight(tmp_path_factory.mktemp("quarry") / "flight", OPTIONS, Run(jobs=2))


def test_photos_carry_what_drones_write(flight: Flight) -> None:
    block = Block.load(flight.block)
    for shot in block.shots:
        with Image.open(flight.images / shot.name) as image:
            exif, xmp = image.getexif(), image.info["xmp"].decode()
            assert image.size == (1400, 1050)
        gps = exif.get_ifd(0x8825)
        degrees = [float(a + b / 60 + c / 3600) for a, b, c in (gps[2], gps[4])]
        said = block.frame.from_geodetic(
            np.array(degrees[:1]), np.array(degrees[1:]), np.array([float(gps[6])])
        )[0]
        assert np.abs(said - shot.centre).max() < 0.15
        assert 'RtkFlag="50"' in xmp
        assert 'GimbalPitchDegree="-' in xmp
        assert exif.get_ifd(0x8769)[0x920A] == pytest.approx(1010.0 * 13.2 / 1400, rel=0.01)


def test_marks_lie_on_the_targets(flight: Flight) -> None:
    assert flight.gcp_list is not None
    lines = flight.gcp_list.read_text().splitlines()
    assert lines[0] == "EPSG:32632"
    block = Block.load(flight.block)
    shots = {shot.name: shot for shot in block.shots}
    names = set()
    for line in lines[1:]:
        *values, photo, name = line.split()
        names.add(name[:3])
        easting, northing, elevation, x, y = map(float, values)
        point = block.frame.from_map(np.array([[easting, northing, elevation]]))
        pixel = block.cameras["demo"].project(shots[photo].to_camera(point))[0]
        assert np.hypot(*(pixel - (x, y))) < 1.6
        grey = cv2.imread(str(flight.images / photo), cv2.IMREAD_GRAYSCALE)
        corner = cv2.cornerSubPix(
            grey,
            pixel.astype(np.float32).reshape(1, 1, 2).copy(),
            (4, 4),
            (-1, -1),
            (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3),
        )[0, 0]
        # Sensor noise and JPEG move the corner a little.
        assert np.hypot(*(corner - pixel)) < 0.25
    assert names == {"GCP", "CHK"}


def test_dsm_holds_the_tie_points(flight: Flight) -> None:
    block = Block.load(flight.block)
    points = block.frame.to_map(block.tie_points.points)
    with rasterio.open(flight.dsm) as dsm:
        found = np.array([value[0] for value in dsm.sample(points[:, :2])])
        assert dsm.crs.to_epsg() == 32632
    error = np.abs(found - points[:, 2])[found > 0.0]
    # The cell that a point falls in, not an interpolation: steep places are off by a slope.
    assert np.median(error) < 0.01
    assert len(error) > 300


def test_same_options_give_the_same_photos_and_are_not_rendered_twice(
    flight: Flight, tmp_path: Path
) -> None:
    again = render_flight(tmp_path / "again", OPTIONS, Run(jobs=1))
    for photo in sorted(flight.images.iterdir()):
        digests = [
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (photo, again.images / photo.name)
        ]
        assert digests[0] == digests[1]
    photo = again.images / "DEMO_0001.JPG"
    before = photo.stat().st_mtime_ns
    render_flight(tmp_path / "again", OPTIONS, Run())
    assert photo.stat().st_mtime_ns == before


def test_week_and_seed_of_a_flight_are_in_its_folder(flight: Flight) -> None:
    facts = json.loads((flight.images.parent / "scene.json").read_text())
    assert (facts["seed"], facts["week"], facts["gps"]) == (4, 0, "rtk")


def test_receivers_are_as_good_as_they_say() -> None:
    frame = quarry_frame()
    for gps, horizontal, vertical in (("rtk", 0.015, 0.03), ("consumer", 2.5, 5.0)):
        errors = []
        for seed in range(40):
            options = FlightOptions(seed=seed, size="small", gps=gps)
            _, shots = fly(options, plan_flight(options))
            fixes = [fix for fix in receive(options, frame, shots) if fix is not None]
            said = frame.from_geodetic(
                np.array([fix.latitude_deg for fix in fixes]),
                np.array([fix.longitude_deg for fix in fixes]),
                np.array([fix.altitude_m for fix in fixes]),
            )
            errors.append(said - np.array([shot.centre for shot in shots]))
        sigma = np.sqrt((np.concatenate(errors) ** 2).mean(axis=0))
        np.testing.assert_allclose(sigma, [horizontal, horizontal, vertical], rtol=0.35)


def test_gimbal_yaw_counts_from_true_north() -> None:
    options = FlightOptions(size="demo")
    frame = quarry_frame()
    reported, shots = fly(options, plan_flight(options))
    facts = photo_facts(options, reported, receive(options, frame, shots))
    differences = []
    for shot, fact in zip(shots, facts, strict=True):
        # Where the top of the photo points, walked on the map of degrees.
        up = -shot.rotation[1]
        ahead = np.array([np.zeros(3), 100.0 * np.array([up[0], up[1], 0.0]) / np.hypot(*up[:2])])
        latitude, longitude, _ = frame.to_geodetic(ahead)
        to_plane = Transformer.from_crs(
            4326, f"+proj=aeqd +lat_0={latitude[0]} +lon_0={longitude[0]}", always_xy=True
        )
        east, north = to_plane.transform(longitude[1], latitude[1])
        yaw = np.degrees(np.arctan2(east, north))
        differences.append((yaw - fact.yaw_deg + 180.0) % 360.0 - 180.0)
    # The mean over 48 photos of a reading noise of 0.4 degrees; the convergence is 0.57.
    assert abs(np.mean(differences)) < 0.2


def test_terrain_is_the_same_in_both_weeks_and_covers_the_flight() -> None:
    assert footprint(FlightOptions(week=0)) == footprint(FlightOptions(week=1))
    options = FlightOptions(size="large", photos=60)
    assert len(plan_flight(options)) == 60


def test_no_photo_shows_the_end_of_the_world(flight: Flight) -> None:
    for photo in flight.images.iterdir():
        grey = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE)
        edge = np.concatenate((grey[:8].ravel(), grey[-8:].ravel(), grey[:, :8].ravel()))
        assert (edge > 12).mean() > 0.9


@pytest.mark.parametrize(
    "values",
    [
        {"week": 2},
        {"size": "huge"},
        {"gps": "glonass"},
        {"photos": 2},
        {"gcps": -1},
        {"seed": -1},
    ],
)
def test_impossible_options_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        FlightOptions(**values)  # type: ignore[arg-type]
