"""Closed forms.

The bound on the error of a sum over cells. A cell counts with its covered area times the height at
its centre. The height is linear in a cell, except where the cell is crossed by a line at which the
surface bends (a crest) or the pile ends (its toe). In a crossed cell the height at the centre and
the mean height of the covered part differ by at most the slope times half the diagonal, c / sqrt 2;
the crossed cells lie in a strip of half-width c sqrt(1/2) on both sides of the line, of area
2 c sqrt(1/2) per metre (half of it inside for a toe). So a line of length L where the slope changes
by s makes at most s c² L. A curved face adds the second-order term of the midpoint rule,
c²/24 times the integral of the Laplacian.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.errors import BaseError, CoverageError, InputError, ToeError
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.grid import Grid
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import Pile
from volumetrics.toe import Toe
from volumetrics.volume import measure

CELLS_M = (0.1, 0.2, 0.4)
TURNS_DEG = (0.0, 17.0, 45.0, 61.0, 88.0)
LEVEL_M = 200.0
SLOPED = (Plane(), Triangulated(), Smooth())
LEVEL = (Average(), Extreme(True), Extreme(False), Fixed(LEVEL_M))


@dataclass(frozen=True)
class Shape:
    """A heap in its own coordinates: height (x, y), toe, volume, and lines where it bends."""

    height: object
    toe: shapely.Polygon
    fill_m3: float
    bend: float
    laplacian: float = 0.0
    cut_m3: float = 0.0
    walls: shapely.Geometry | None = None

    def bound_m3(self, cell_m):
        return self.bend * cell_m**2 + self.laplacian * cell_m**2 / 24.0


def disc(radius_m):
    # Grown so that its area is the circle's: the polygon is no source of error.
    grow = math.sqrt(2 * math.pi / (256 * math.sin(2 * math.pi / 256)))
    return shapely.Point(0, 0).buffer(radius_m * grow, quad_segs=64)


def cone(radius=6.0, height=4.0):
    slope = height / radius
    return Shape(
        lambda x, y: height * np.clip(1 - np.hypot(x, y) / radius, 0, None),
        disc(radius),
        math.pi / 3 * radius**2 * height,
        slope * 2 * math.pi * radius,
        slope * 2 * math.pi * radius,
    )


def frustum(radius=6.0, top=3.0, height=3.0):
    slope = height / (radius - top)
    return Shape(
        lambda x, y: height * np.clip((radius - np.hypot(x, y)) / (radius - top), 0, 1),
        disc(radius),
        math.pi / 3 * height * (radius**2 + radius * top + top**2),
        slope * 2 * math.pi * (radius + top),
        slope * 2 * math.pi * (radius - top),
    )


def cap(radius=6.0, height=2.0):
    sphere = (radius**2 + height**2) / (2 * height)
    slope = radius / (sphere - height)
    return Shape(
        lambda x, y: np.clip(
            np.sqrt(np.clip(sphere**2 - x**2 - y**2, 0, None)) - sphere + height, 0, None
        ),
        disc(radius),
        math.pi * height**2 / 3 * (3 * sphere - height),
        slope * 2 * math.pi * radius,
        slope * 2 * math.pi * radius,
    )


def wedge(length=9.0, width=7.0, height=3.0):
    """Rises from one edge to a wall at the other; its triangular ends stand upright."""
    ends = [((-0.5 * length, s * 0.5 * width), (0.5 * length, s * 0.5 * width)) for s in (1, -1)]
    back = ((0.5 * length, -0.5 * width), (0.5 * length, 0.5 * width))
    slope = height / length
    return Shape(
        lambda x, y: np.where(
            (np.abs(x) < 0.5 * length) & (np.abs(y) < 0.5 * width), slope * (x + 0.5 * length), 0.0
        ),
        shapely.box(-0.5 * length, -0.5 * width, 0.5 * length, 0.5 * width),
        0.5 * length * width * height,
        slope * 2 * (length + width),
        walls=shapely.MultiLineString([*ends, back]),
    )


def bunker(height=3.0, wall_m=5.0, sides=(-1, 1)):
    """A quarter of a pyramid's side: apex at the back wall, cut by side walls, open in front."""

    def elevation(x, y):
        inside = (np.abs(x) < 4) & (y > 0)
        behind = (np.abs(x) < 4.6) & (y > -0.6) & (y < 6)
        heap = height * np.clip(1 - np.maximum(np.abs(x), np.abs(y)) / 6, 0, None)
        for side in {-1, 1} - set(sides):
            open_side = side * x > 4
            behind &= ~open_side
        return np.where(inside, heap, np.where(behind & ~inside, wall_m, 0.0))

    lines = [((-4, 0), (4, 0)), *[((4 * s, 0), (4 * s, 6)) for s in sides]]
    slope = height / 6
    # The walls cut the pile upright (12 + 8 m); the pyramid bends along two diagonals of
    # 4 sqrt 2 m, by sqrt 2 times its slope, and ends at an open front of 8 m.
    bend = slope * (20 + 2 * 4 * math.sqrt(2) * math.sqrt(2) + 8)
    return Shape(
        elevation,
        shapely.box(-4, 0, 4, 6),
        2 * height * (12 - 64 / 36),
        bend,
        walls=shapely.MultiLineString(lines),
    )


def waves(amplitude=0.5, length=8.0):
    """One whole wave along x: as much above the base as below."""
    k = 2 * math.pi / length
    fill = amplitude * 2 / k * 6.0
    return Shape(
        lambda x, y: amplitude * np.sin(k * x) * ((np.abs(x) < length / 2) & (np.abs(y) < 3)),
        shapely.box(-length / 2, -3, length / 2, 3),
        fill,
        # Toe, and the line of no height where fill and cut share a cell.
        amplitude * k * (2 * (length + 6) + 3 * 6),
        2 * fill * k**2,
        cut_m3=fill,
    )


def surface(shape, cell_m, turn_deg, ground=(0.0, 0.0)):
    """The heap on the ground, turned about the origin, on a grid that it fits by no symmetry."""
    count = math.ceil(20.0 / cell_m)
    empty = Grid(np.zeros((count, count)), -10.03, 10.017, cell_m)
    x, y = np.meshgrid(empty.x_m(), empty.y_m())
    turn = math.radians(turn_deg)
    own_x = x * math.cos(turn) + y * math.sin(turn)
    own_y = y * math.cos(turn) - x * math.sin(turn)
    level = LEVEL_M + ground[0] * x + ground[1] * y
    toe = rotate(shape.toe, turn_deg, origin=(0, 0))
    walls = rotate(shape.walls, turn_deg, origin=(0, 0)) if shape.walls is not None else None
    return empty.with_elevation(level + shape.height(own_x, own_y)), Toe("heap", toe, walls)


@pytest.mark.parametrize("make", [cone, frustum, cap])
@pytest.mark.parametrize("cell_m", CELLS_M)
def test_solids_of_revolution(make, cell_m):
    shape = make()
    for turn_deg, method in product(TURNS_DEG, SLOPED):
        grid, toe = surface(shape, cell_m, turn_deg, ground=(0.04, -0.03))
        volume = measure(grid, toe, method)
        assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(cell_m)), method
        assert volume.area_m2 == pytest.approx(shape.toe.area, abs=1e-9)
    for method in LEVEL:
        grid, toe = surface(shape, cell_m, TURNS_DEG[1])
        volume = measure(grid, toe, method)
        assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(cell_m)), method


@pytest.mark.parametrize("cell_m", CELLS_M)
@pytest.mark.parametrize("turn_deg", TURNS_DEG)
def test_wedge_against_walls(cell_m, turn_deg):
    shape = wedge()
    grid, toe = surface(shape, cell_m, turn_deg)
    for method in LEVEL:
        volume = measure(grid, toe, method)
        assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(cell_m)), method
    with pytest.raises(BaseError, match="along one line"):
        measure(grid, toe, Plane())


@pytest.mark.parametrize("cell_m", CELLS_M)
@pytest.mark.parametrize("turn_deg", TURNS_DEG)
def test_pyramid_in_a_bunker(cell_m, turn_deg):
    shape = bunker()
    grid, toe = surface(shape, cell_m, turn_deg)
    for method in LEVEL:
        volume = measure(grid, toe, method)
        assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(cell_m)), method


@pytest.mark.parametrize("cell_m", CELLS_M)
@pytest.mark.parametrize("turn_deg", TURNS_DEG)
def test_equal_cut_and_fill(cell_m, turn_deg):
    shape = waves()
    for method in (*SLOPED, *LEVEL):
        ground = (0.04, -0.03) if method in SLOPED else (0.0, 0.0)
        volume = measure(*surface(shape, cell_m, turn_deg, ground), method)
        bound = shape.bound_m3(cell_m)
        assert volume.fill_m3 == pytest.approx(shape.fill_m3, abs=bound), method
        assert volume.cut_m3 == pytest.approx(shape.cut_m3, abs=bound), method


@pytest.mark.parametrize("cell_m", CELLS_M)
@pytest.mark.parametrize("method", SLOPED)
def test_a_tilted_plane_on_itself_is_nothing(cell_m, method):
    nothing = Shape(lambda x, y: 0.0 * x, disc(6.0), 0.0, 0.0)
    for turn_deg in TURNS_DEG:
        volume = measure(*surface(nothing, cell_m, turn_deg, ground=(0.3, -0.2)), method)
        assert volume.fill_m3 == pytest.approx(0.0, abs=1e-6)
        assert volume.cut_m3 == pytest.approx(0.0, abs=1e-6)


def test_the_plane_ignores_a_stretch_of_toe_that_is_no_ground():
    shape = cone()
    grid, toe = surface(shape, 0.2, 0.0, ground=(0.02, 0.01))
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    neighbour = np.where(np.hypot(x - 9, y) < 5.0, 0.4, 0.0) * (np.hypot(x, y) > 6.05)
    leaning = measure(grid.with_elevation(grid.elevation_m + neighbour), toe)
    assert leaning.base_facts["used_share"] < 0.95
    assert leaning.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(0.2))


@pytest.mark.parametrize("side", [0, 1, 2, 3])
def test_the_plane_is_not_tilted_by_a_wall_along_a_whole_side(side):
    shape = cone()
    square = shapely.box(-6.2, -6.2, 6.2, 6.2)
    grid, _ = surface(shape, 0.2, 0.0, ground=(0.02, 0.01))
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    across = (x, y, -x, -y)[side]
    walled = grid.with_elevation(grid.elevation_m + 2.5 * (across > 6.3))
    volume = measure(walled, Toe("unmarked wall", square))
    assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(0.2))
    assert volume.base_facts["used_share"] < 0.8


@pytest.mark.parametrize(
    "method", [Triangulated(), Smooth(), Extreme(True), Extreme(False), Average()],
    ids=lambda method: method.name,
)  # fmt: skip
def test_no_base_climbs_a_wall_or_a_machine_beside_the_toe(method):
    shape = cone()
    grid, _ = surface(shape, 0.2, 0.0)
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    stands = (x > 6.3) | ((y < -6.3) & (np.abs(x) < 1.5))
    beside = grid.with_elevation(grid.elevation_m + 2.5 * stands)
    volume = measure(beside, Toe("unmarked", shapely.box(-6.2, -6.2, 6.2, 6.2)), method)
    assert volume.net_m3 == pytest.approx(shape.fill_m3, abs=shape.bound_m3(0.2))


def test_the_plane_keeps_ground_that_bends_into_a_ramp():
    """A plane through the level part alone would take the whole ramp for pile."""
    heap = Pile((0.0, 0.0), 17.0, 0.3, 0.0, 4.0, 0.5, (100.0, 0.0, 0.0))
    grid, toe = heap.grid(40.0, 0.25), heap.toe()
    ramp = 0.3 * np.maximum(grid.x_m(), 0.0)[None, :]
    volume = measure(grid.with_elevation(grid.elevation_m + ramp), toe)
    assert volume.base_facts["used_share"] == 1.0
    # The plane halves the ramp: it lies 0.15 x, less 0.6 m in the middle, and so above the ground
    # by 1 m at the most.
    assert abs(volume.net_m3 - heap.volume_m3) < 1.0 * toe.area_m2


def pile(**changes):
    values = {
        "centre_m": (0.3, -0.2), "radius_m": 6.0, "aspect": 0.8, "turn_rad": 0.4, "height_m": 4.0,
        "top": 0.3, "ground_m": (100.0, 0.02, -0.01),
    }  # fmt: skip
    return Pile(**(values | changes))


BASES = (Plane(), Triangulated(), Smooth(), Extreme(True), Extreme(False), Average())


@settings(max_examples=15, deadline=None)
@given(st.floats(-5e5, 5e5), st.floats(0, 5e6), st.floats(-50, 3000), st.sampled_from(BASES))
def test_a_translation_changes_nothing(east, north, up, method):
    grid = pile().grid(20.0, 0.25)
    toe = pile().toe()
    moved = Grid(grid.elevation_m + up, grid.west_m + east, grid.north_m + north, 0.25)
    there = Toe("moved", shapely.affinity.translate(toe.polygon, east, north))
    here_volume, there_volume = measure(grid, toe, method), measure(moved, there, method)
    # A coordinate of 5e6 m has a rounding of 1e-9 m, which the toe's 35 m turn into m².
    assert there_volume.net_m3 == pytest.approx(here_volume.net_m3, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 5.0), st.sampled_from(BASES))
def test_heights_times_a_factor_are_volumes_times_it(factor, method):
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    single, multiple = (
        measure(grid, toe, method),
        measure(grid.with_elevation(factor * grid.elevation_m), toe, method),
    )
    assert multiple.fill_m3 == pytest.approx(factor * single.fill_m3, rel=1e-7, abs=1e-6)
    assert multiple.cut_m3 == pytest.approx(factor * single.cut_m3, rel=1e-7, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, math.pi), st.floats(-3.0, 3.0))
def test_the_parts_of_a_split_polygon_add_up(turn, offset):
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    normal = np.array([math.cos(turn), math.sin(turn)])
    along = np.array([-normal[1], normal[0]])
    corners = [
        normal * offset + 50 * along, normal * offset - 50 * along,
        normal * (offset + 50) - 50 * along, normal * (offset + 50) + 50 * along,
    ]  # fmt: skip
    knife = shapely.Polygon(corners)
    base = Fixed(100.0)
    whole = measure(grid, toe, base)
    halves = [
        measure(grid, Toe("half", part), base)
        for part in (toe.polygon.intersection(knife), toe.polygon.difference(knife))
    ]
    assert sum(half.fill_m3 for half in halves) == pytest.approx(whole.fill_m3, rel=1e-9)
    assert sum(half.cut_m3 for half in halves) == pytest.approx(whole.cut_m3, rel=1e-9, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from((Plane(), Triangulated(), Smooth(), Average())))
def test_a_surface_turned_upside_down_swaps_fill_and_cut(method):
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    up = measure(grid, toe, method)
    down = measure(grid.with_elevation(-grid.elevation_m), toe, method)
    assert (down.fill_m3, down.cut_m3) == pytest.approx((up.cut_m3, up.fill_m3), abs=1e-7)


def test_holes_are_bridged_and_told():
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    elevation = grid.elevation_m.copy()
    elevation[38:42, 36:40] = np.nan
    holed = measure(grid.with_elevation(elevation), toe)
    whole = measure(grid, toe)
    assert holed.hole_count == 1
    assert holed.hole_area_m2 == pytest.approx(1.0, abs=1e-9)
    assert holed.coverage == pytest.approx(1.0 - 1.0 / toe.area_m2)
    assert abs(holed.net_m3 - whole.net_m3) < holed.net_u95_m3
    assert whole.hole_count == 0
    assert whole.net_u95_m3 == pytest.approx(0.0, abs=1e-9)


def test_too_little_surface_is_refused():
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    elevation = grid.elevation_m.copy()
    elevation[:, :36] = np.nan
    with pytest.raises(CoverageError, match=r"only \d\d\.\d% of the pile was seen"):
        measure(grid.with_elevation(elevation), toe)
    beside = Toe("beside", shapely.affinity.translate(toe.polygon, 8.0, 0.0))
    with pytest.raises(CoverageError, match=r"the rest is a hole or lies outside the survey"):
        measure(grid, beside)


def test_a_toe_of_a_few_cells_is_refused():
    with pytest.raises(ToeError, match=r"0.64 m², only 10.2 cells"):
        measure(pile().grid(20.0, 0.25), Toe("dot", shapely.box(0, 0, 0.8, 0.8)))


def test_a_toe_that_fills_the_survey_is_sampled_on_its_line():
    grid = Grid(np.full((40, 40), 3.0), 0.0, 10.0, 0.25)
    volume = measure(grid, Toe("all", shapely.box(0, 0, 10, 10)))
    assert volume.area_m2 == pytest.approx(100.0)
    assert volume.net_m3 == pytest.approx(0.0, abs=1e-9)


def test_the_terms_of_a_budget_add_up_and_behave():
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    noise = DsmNoise((NoiseComponent(0.02, 1.0), NoiseComponent(0.02, 20.0)))
    accuracy = Accuracy(noise, 1e-3, 0.05, 0.1)
    volume = measure(grid, toe, Plane(), accuracy)
    terms = {term.name: term for term in volume.budgets["net"].terms}
    total = sum(term.variance_m6 for term in terms.values())
    assert volume.net_u95_m3 == pytest.approx(1.96 * math.sqrt(total), rel=1e-4)
    assert terms["scale"].sigma_m3 == pytest.approx(3e-3 * volume.net_m3)
    assert terms["vertical_bias"].sigma_m3 == 0.0
    assert terms["shared_noise"].sigma_m3 < 0.0
    fixed = measure(grid, toe, Fixed(100.0, 0.03), accuracy)
    terms = {term.name: term for term in fixed.budgets["net"].terms}
    assert terms["vertical_bias"].sigma_m3 == pytest.approx(0.05 * toe.area_m2)
    assert terms["base_choice"].sigma_m3 == pytest.approx(0.03 * toe.area_m2)
    assert terms["base_noise"].sigma_m3 == 0.0


@pytest.mark.parametrize("method", [Plane(), Average()])
def test_a_leaning_survey_moves_what_does_not_lean_with_it(method):
    grid, toe = pile().grid(20.0, 0.25), Toe("side", shapely.Polygon([(-6, -6), (7, -4), (0, 6)]))
    volume = measure(grid, toe, method, Accuracy(tilt_sigma=0.01))
    east, north = 0.01 * grid.x_m()[None], 0.01 * grid.y_m()[:, None]
    changes = [
        measure(grid.with_elevation(grid.elevation_m + lean), toe, method).net_m3 - volume.net_m3
        for lean in (east, north)
    ]
    terms = {term.name: term.sigma_m3 for term in volume.budgets["net"].terms}
    assert terms["tilt"] == pytest.approx(math.hypot(*changes), rel=0.02, abs=1e-3)
    assert (terms["tilt"] > 0.01) == (method.name == "average")


def test_impossible_accuracy_is_refused():
    with pytest.raises(InputError, match="scale_sigma = -1"):
        Accuracy(scale_sigma=-1.0)


def test_cells_beside_the_toe_do_not_count_for_the_height():
    grid, toe = pile().grid(20.0, 0.25), pile().toe()
    elevation = grid.elevation_m.copy()
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    elevation[~shapely.contains_xy(toe.polygon.buffer(1.5), x, y)] += 50.0
    volume = measure(grid.with_elevation(elevation), toe)
    assert volume.height_max_m == pytest.approx(measure(grid, toe).height_max_m, abs=1e-6)
