import json

import numpy as np
import pyproj
import pytest
import shapely

from volumetrics.errors import InputError, ToeError
from volumetrics.polygons import read_toes
from volumetrics.survey import open_survey
from volumetrics.toe import Toe, around, boundary, wall_lines


@pytest.fixture
def survey(write_dsm):
    return open_survey(write_dsm())


def polygon(ring, *holes):
    return {"type": "Polygon", "coordinates": [ring, *holes]}


def box(west=500_005.0, south=5_180_005.0, size=8.0):
    return [
        [west, south], [west + size, south], [west + size, south + size], [west, south + size],
        [west, south],
    ]  # fmt: skip


def test_names_come_from_the_property_then_the_order(survey, write_piles):
    path = write_piles([({"name": " Sand 0/2 "}, polygon(box())), ({}, polygon(box(size=4.0)))])
    toes, refused = read_toes(path, survey)
    assert [toe.name for toe in toes] == ["Sand 0/2", "pile 2"]
    assert not refused


def test_degrees_without_a_name_are_wgs84(survey, write_piles, toe_ring):
    to_degrees = pyproj.Transformer.from_crs(32615, 4326, always_xy=True)
    degrees = np.column_stack(to_degrees.transform(*np.array(toe_ring).T)).tolist()
    (toe,), _ = read_toes(write_piles([({}, polygon(degrees))], crs=None), survey)
    assert toe.area_m2 == pytest.approx(shapely.Polygon(toe_ring).area, rel=1e-6)
    assert toe.notes == ()


def test_another_named_crs_is_transformed(survey, write_piles, toe_ring):
    to_other = pyproj.Transformer.from_crs(32615, 3857, always_xy=True)
    other = np.column_stack(to_other.transform(*np.array(toe_ring).T)).tolist()
    (toe,), _ = read_toes(write_piles([({}, polygon(other))], crs="EPSG:3857"), survey)
    assert toe.area_m2 == pytest.approx(shapely.Polygon(toe_ring).area, rel=1e-6)


def test_no_crs_inside_the_survey_is_an_assumption_that_is_told(survey, write_piles):
    (toe,), _ = read_toes(write_piles([({}, polygon(box()))], crs=None), survey)
    assert toe.area_m2 == pytest.approx(64.0)
    assert toe.notes == ("the polygons name no CRS, taken as the survey's",)


def test_no_crs_far_from_the_survey_is_refused(survey, write_piles):
    with pytest.raises(InputError, match="neither degrees nor inside the survey"):
        read_toes(write_piles([({}, polygon(box(west=900_000.0)))], crs=None), survey)


def test_unknown_crs_is_refused(survey, write_piles):
    with pytest.raises(InputError, match="'EPSG:999999' is no known CRS"):
        read_toes(write_piles([({}, polygon(box()))], crs="EPSG:999999"), survey)


def test_a_crossing_is_refused_with_its_place_and_the_others_are_read(survey, write_piles):
    bow = box()
    bow[2], bow[3] = bow[3], bow[2]
    path = write_piles([({"name": "bow"}, polygon(bow)), ({"name": "good"}, polygon(box()))])
    toes, refused = read_toes(path, survey)
    assert [toe.name for toe in toes] == ["good"]
    assert "Self-intersection at 500009 5180009" in refused["bow"]


def test_repeated_points_winding_elevations_holes_and_parts(survey, write_piles):
    ring = [[x, y, 7.0] for x, y in box()]
    repeated = [ring[0], ring[0], *ring[1:]]
    hole = box(500_007.0, 5_180_007.0, 2.0)
    parts = {"type": "MultiPolygon", "coordinates": [[box(size=4.0)], [box(500_010.0, size=3.0)]]}
    path = write_piles(
        [
            ({"name": "repeated"}, polygon(repeated)),
            ({"name": "turned"}, polygon(ring[::-1])),
            ({"name": "hole"}, polygon(ring, hole)),
            ({"name": "parts"}, parts),
        ]
    )
    toes, refused = read_toes(path, survey)
    assert not refused
    assert [toe.area_m2 for toe in toes] == pytest.approx([64.0, 64.0, 60.0, 25.0])
    assert toes[0].notes == ("1 repeated vertices removed",)


def test_two_polygons_of_one_name_are_refused(survey, write_piles):
    path = write_piles([({"name": "A"}, polygon(box())), ({"name": "A"}, polygon(box(size=4.0)))])
    toes, refused = read_toes(path, survey)
    assert len(toes) == 1
    assert "two polygons have this name" in refused["A"]


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (None, "its geometry is empty"),
        ({"type": "Point", "coordinates": [1, 2]}, "is Point, not a polygon"),
        (polygon([[0, 0], [1, 1]]), "make no polygon"),
        (polygon([[0, 0], [1, "x"], [1, 1], [0, 0]]), "make no polygon"),
        (polygon([[500_001, 5_180_001]] * 4), "not a simple polygon: Too few points"),
    ],
)
def test_what_is_no_polygon_is_refused(survey, write_piles, geometry, message):
    _, refused = read_toes(write_piles([({"name": "X"}, geometry)]), survey)
    assert message in refused["X"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not GeoJSON"),
        ("[1]", "not GeoJSON"),
        ('{"type": "FeatureCollection", "features": []}', "holds no polygons"),
        ('{"type": "Polygon", "coordinates": [[[0, NaN]]]}', "NaN is no coordinate"),
    ],
)
def test_files_that_are_no_polygons(survey, tmp_path, text, message):
    path = tmp_path / "x.geojson"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_toes(path, survey)
    with pytest.raises(InputError, match="cannot be read"):
        read_toes(tmp_path / "missing.geojson", survey)


def test_a_bare_geometry_and_a_single_feature(survey, tmp_path):
    path = tmp_path / "bare.geojson"
    path.write_text(json.dumps(polygon(box())))
    assert read_toes(path, survey)[0][0].area_m2 == pytest.approx(64.0)
    path.write_text(json.dumps({"type": "Feature", "id": 7, "geometry": polygon(box())}))
    assert read_toes(path, survey)[0][0].name == "7"


def test_walls_take_no_part_in_the_base(survey, write_piles):
    properties = {"name": "bunker", "walls": [[0, 3]]}
    (toe,), _ = read_toes(write_piles([(properties, polygon(box()))]), survey)
    line = boundary(toe, 0.25)
    # Three edges of 8 m are walls; only the western edge from vertex 3 to 0 is open.
    assert np.unique(line.middle_m[line.is_ground, 0]) == pytest.approx([500_005.0])
    assert line.length_m[line.is_ground].sum() == pytest.approx(8.0)


def test_walls_of_a_part(survey, write_piles):
    parts = {"type": "MultiPolygon", "coordinates": [[box(size=4.0)], [box(500_010.0, size=3.0)]]}
    (toe,), _ = read_toes(write_piles([({"walls": [[1, 0, 1]]}, parts)]), survey)
    assert toe.walls.length == pytest.approx(3.0)


@pytest.mark.parametrize("walls", ["yes", [3], [[0, 9]], [[1, 1]], [[0]], [[5, 0, 1]]])
def test_walls_that_do_not_exist_are_refused(survey, write_piles, walls):
    toes, refused = read_toes(
        write_piles([({"name": "B", "walls": walls}, polygon(box()))]), survey
    )
    assert not toes
    assert refused["B"].startswith("B: ")


def test_walls_run_in_the_rings_own_direction():
    ring = np.array([[0.0, 0], [4, 0], [4, 3], [0, 3]])
    assert wall_lines(ring, [[3, 1]]).length == pytest.approx(7.0)
    assert wall_lines(ring, [[0, 1], [2, 3]]).length == pytest.approx(8.0)


def test_normals_point_away_from_the_pile_around_holes_too():
    outer = shapely.Point(0, 0).buffer(5.0)
    toe = Toe("ring", outer.difference(shapely.Point(0, 0).buffer(2.0)))
    line = boundary(toe, 0.25)
    beside = line.middle_m + 0.05 * line.normal
    assert not shapely.contains(toe.polygon, shapely.points(beside)).any()
    assert line.length_m.sum() == pytest.approx(toe.polygon.length)
    assert np.hypot(*line.middle_m[line.is_ground].T).min() > 4.9


def test_a_toe_must_be_finite():
    with pytest.raises(ToeError, match="not a finite number"):
        Toe("X", shapely.Polygon([(0, 0), (float("inf"), 0), (1, 1), (1, 2)]))
    with pytest.raises(ToeError, match="a LineString is no toe"):
        Toe("X", shapely.LineString([(0, 0), (1, 0)]))


def test_the_surroundings_of_a_jagged_line_reach_as_far_as_asked():
    angle = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)
    radius = 7.0 + np.random.default_rng(0).uniform(-0.02, 0.02, angle.size)
    jagged = shapely.Polygon(np.column_stack((radius * np.cos(angle), radius * np.sin(angle))))
    near = around(np.array([jagged]), 0.5)
    reach_m = shapely.distance(shapely.points(near.exterior.coords), jagged)
    assert reach_m.min() >= 0.5 * np.cos(np.pi / 16) - 1e-9
    assert reach_m.max() <= 0.6
    # Detail finer than a tenth of the margin is gone.
    assert len(near.exterior.coords) < 500
