import numpy as np
import pytest
import shapely

from volumetrics.base_surface import Plane
from volumetrics.cutter import cutter
from volumetrics.files.relief import reliefs
from volumetrics.files.section import sections
from volumetrics.polygons import read_toes
from volumetrics.site import measure_site
from volumetrics.survey import open_survey


@pytest.fixture
def relief(survey_folder, write_piles, toe_ring):
    survey = open_survey(survey_folder)
    geometry = {"type": "Polygon", "coordinates": [toe_ring]}
    toes, _ = read_toes(write_piles([({"name": "Sand"}, geometry)]), survey)
    cut = cutter(survey, toes, 0.1)
    (found,) = reliefs(cut, toes, Plane(), measure_site(cut, toes, Plane()).volumes)
    return survey, found


def test_the_relief_sums_to_the_measured_volume(relief):
    _, found = relief
    net_m3 = np.nansum(found.height_m * found.pile.cell_areas_m2)
    assert net_m3 == pytest.approx(found.volume.net_m3, rel=1e-9)


def test_sections_follow_the_pile_and_its_base(relief, pile):
    survey, found = relief
    first, second = sections(found, survey.window(found.toe.polygon.bounds, 3.0), 1.0)
    # Along the longer axis of the ellipse first: radius 6 m at 0.4 rad, then 0.8 of it.
    lengths = [float(np.hypot(*np.diff(cut.ends_m, axis=0)[0])) for cut in (first, second)]
    assert lengths == pytest.approx([14.0, 11.6], abs=0.2)
    east, north = np.diff(first.ends_m, axis=0)[0]
    assert np.arctan2(north, east) == pytest.approx(pile.turn_rad, abs=0.05)
    for cut in (first, second):
        place = cut.ends_m[0] + np.outer(
            cut.along_m / cut.along_m[-1], cut.ends_m[1] - cut.ends_m[0]
        )
        x, y = (place - (500_010.0, 5_180_010.0)).T
        assert cut.surface_m == pytest.approx(pile.elevation_m(x, y), abs=0.15)
        inside = shapely.contains_xy(found.toe.polygon, place)
        assert np.array_equal(inside, np.isfinite(cut.base_m))
        level, slope_east, slope_north = pile.ground_m
        ground = level + slope_east * x + slope_north * y
        assert cut.base_m[inside] == pytest.approx(ground[inside], abs=0.03)


def test_the_interval_of_a_section_is_that_of_noise_through_the_fit(relief):
    """The variance of the base by drawing the noise at its samples and fitting again."""
    survey, found = relief
    cut, _ = sections(found, survey.window(found.toe.polygon.bounds, 3.0), 1.0)
    samples = found.pile.samples
    gap = np.hypot(*(samples.position_m[:, None] - samples.position_m).T)
    covariance = found.volume.noise.covariance(gap)
    generator = np.random.default_rng(5)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(gap)))
    noise = root @ generator.standard_normal((len(gap), 4000))
    design = np.column_stack((np.ones(len(gap)), samples.position_m - samples.position_m.mean(0)))
    middle = np.array(found.toe.polygon.centroid.coords[0]) - samples.position_m.mean(0)
    drawn = np.array([1.0, *middle]) @ np.linalg.lstsq(design, noise, rcond=None)[0]
    at = int(np.argmin(np.abs(cut.along_m - 0.5 * cut.along_m[-1])))
    # 4000 draws tell a sigma to 1.1 %; the robust fit weighs its samples a little otherwise.
    assert cut.base_u95_m[at] == pytest.approx(1.96 * drawn.std(), rel=0.05)
    assert cut.surface_u95_m == pytest.approx(1.96 * 0.01, rel=1e-3)
