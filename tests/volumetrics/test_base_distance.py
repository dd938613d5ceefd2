r"""A cone in a bowl: ground that rises outwards, so that the base depends on where it is sampled.

The ground is :math:`\kappa r^2 / 2`. The plane through rings of the radii :math:`R + d` is level at
the mean of :math:`\kappa (R + d)^2 / 2`, so the net volume is the cone's, plus
:math:`\pi R^2 (\kappa R^2 / 4)` of ground, less that level times :math:`\pi R^2`.
"""

import math

import numpy as np
import pytest
import shapely

from volumetrics.budget import Accuracy
from volumetrics.grid import Grid
from volumetrics.toe import Toe
from volumetrics.volume import measure

RADIUS_M, HEIGHT_M, CURVATURE = 7.0, 4.0, 0.016
USUAL_M = np.array([0.15, 0.25])


def closed_form_m3(toe_sigma_m):
    area = math.pi * RADIUS_M**2
    level = 0.5 * CURVATURE * np.mean((RADIUS_M + USUAL_M + 2.0 * toe_sigma_m) ** 2)
    return area * (HEIGHT_M / 3.0 + 0.25 * CURVATURE * RADIUS_M**2 - level)


def measured(cell_m, toe_sigma_m=0.0, curvature=CURVATURE):
    count = round(20.0 / cell_m)
    empty = Grid(np.zeros((count, count)), -10.03, 10.017, cell_m)
    distance = np.hypot(empty.x_m()[None, :], empty.y_m()[:, None])
    cone = HEIGHT_M * np.clip(1.0 - distance / RADIUS_M, 0.0, None)
    grid = empty.with_elevation(100.0 + 0.5 * curvature * distance**2 + cone)
    grow = math.sqrt(2 * math.pi / (256 * math.sin(2 * math.pi / 256)))
    toe = Toe("heap", shapely.Point(0, 0).buffer(RADIUS_M * grow, quad_segs=64))
    return measure(grid, toe, accuracy=Accuracy(toe_sigma_m=toe_sigma_m))


def bound_m3(cell_m):
    """Of the sum over cells (see test_volume), and of the bilinear samples' own curvature."""
    lines = 2.0 * HEIGHT_M / RADIUS_M * 2.0 * math.pi * RADIUS_M * cell_m**2
    return lines + CURVATURE * cell_m**2 * math.pi * RADIUS_M**2


@pytest.mark.parametrize("toe_sigma_m", [0.0, 0.1])
@pytest.mark.parametrize("cell_m", [0.025, 0.05, 0.1])
def test_the_base_does_not_depend_on_the_size_of_fine_cells(cell_m, toe_sigma_m):
    volume = measured(cell_m, toe_sigma_m)
    assert abs(volume.net_m3 - closed_form_m3(toe_sigma_m)) <= bound_m3(cell_m)
    terms = {term.name: term.sigma_m3 for term in volume.budgets["net"].terms}
    assert terms["base_distance"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("cell_m", [0.2, 0.3, 0.4])
def test_coarse_cells_say_how_much_their_distance_may_change(cell_m):
    volume = measured(cell_m)
    error = abs(volume.net_m3 - closed_form_m3(0.0))
    assert bound_m3(cell_m) < error <= volume.net_u95_m3 + bound_m3(cell_m)
    # No more than what it needs: an even distribution's 95 % is 1.13 times its half-width.
    assert volume.net_u95_m3 <= 1.25 * error + bound_m3(cell_m)


def test_on_plane_ground_the_distance_does_not_matter():
    assert measured(0.4, curvature=0.0).net_u95_m3 == pytest.approx(0.0, abs=1e-6)
