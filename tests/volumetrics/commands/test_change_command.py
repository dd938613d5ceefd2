import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

from volumetrics.__main__ import main

WEST, NORTH = 500_000.0, 5_180_020.0
NOISE = {"dsm_noise": {"components": [{"sigma_m": 0.01, "range_m": 1.0}]}}


@pytest.fixture
def write_survey(write_dsm, pile, tmp_path):
    """A survey folder of 40 m x 40 m with the pile, moved and lifted as a whole."""

    def write(name, up_m=0.0, datum="EGM2008", spoil_m=0.0, **shape):
        grid = replace(pile, **shape).grid(40.0, 0.25)
        x, y = np.meshgrid(grid.x_m(), grid.y_m())
        elevation = grid.elevation_m + up_m + spoil_m * (np.hypot(x - 15.0, y - 15.0) < 2.0)
        folder = tmp_path / name
        folder.mkdir()
        write_dsm(folder / "dsm.tif", elevation_m=elevation)
        (folder / "survey.json").write_text(json.dumps({"vertical_datum": datum}))
        (folder / "accuracy.json").write_text(json.dumps(NOISE))
        return folder

    return write


@pytest.fixture
def piles(pile, write_piles):
    ring = np.asarray(pile.toe().polygon.buffer(1.5).exterior.coords)
    polygon = shapely.Polygon(ring + np.array([WEST + 20.0, NORTH - 20.0]))
    return write_piles([({"name": "Sand"}, shapely.geometry.mapping(polygon))])


def change(*arguments):
    return main(["change", *map(str, arguments)])


def table(folder):
    with (folder / "change.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_came_and_what_went(write_survey, piles, pile, capsys):
    first = write_survey("first")
    second = write_survey("second", up_m=0.08, height_m=5.0, spoil_m=1.0)
    assert change(first, second, piles) == 0
    (row,) = table(second)
    grown_m3 = pile.volume_m3 * 0.25
    # The alignment's plane is level to a millimetre over some 170 m².
    assert float(row["net_m3"]) == pytest.approx(grown_m3, abs=0.2)
    assert float(row["fill_m3"]) - float(row["cut_m3"]) == pytest.approx(
        float(row["net_m3"]), abs=2e-3
    )
    document = json.loads((second / "change.json").read_text())
    assert document["alignment"]["vertical_m"] == pytest.approx(0.08, abs=2e-3)
    assert document["total"]["net"]["value_m3"] == pytest.approx(grown_m3, abs=0.2)
    # The spoil heap is a cylinder of 2 m radius that no polygon holds.
    assert document["elsewhere_fill_m3"] == pytest.approx(12.6, rel=0.05)
    assert "-0.080 ± " in capsys.readouterr().out


def test_piles_are_followed(write_survey, piles, pile, write_piles, tmp_path):
    first, second = write_survey("first"), write_survey("second", radius_m=7.5)
    earlier = tmp_path / "earlier.geojson"
    piles.rename(earlier)
    ring = np.asarray(replace(pile, radius_m=7.5).toe().polygon.buffer(1.5).exterior.coords)
    polygon = shapely.Polygon(ring + np.array([WEST + 20.0, NORTH - 20.0]))
    new = shapely.affinity.translate(polygon, 0.0, 16.0).buffer(-4.0)
    later = write_piles(
        [
            ({"name": "Sand"}, shapely.geometry.mapping(polygon)),
            ({"name": "New"}, shapely.geometry.mapping(new)),
        ]
    )
    assert change(first, second, earlier, "--later-piles", later) == 0
    identities = {row["pile"]: row["identity"] for row in table(second)}
    assert identities == {"Sand": "grown", "New": "new"}


def test_surveys_that_cannot_be_compared_are_refused(write_survey, piles, write_dsm, capsys):
    first = write_survey("first")
    for second, said in (
        (write_survey("high", up_m=1.5), "in height"),
        (write_survey("datum", datum="NAVD88"), "has EGM2008 heights, the later one NAVD88"),
    ):
        assert change(first, second, piles) == 2
        assert said in capsys.readouterr().err
        assert not (second / "change.csv").exists()
    write_dsm(first.parent / "zone.tif", crs="EPSG:32616")
    assert change(first, first.parent / "zone.tif", piles) == 2
    assert "Warp one of them" in capsys.readouterr().err


def test_a_polygon_outside_is_refused_and_the_others_are_compared(
    write_survey, pile, write_piles, capsys
):
    first, second = write_survey("first"), write_survey("second", height_m=5.0)
    ring = np.asarray(pile.toe().polygon.buffer(1.5).exterior.coords)
    here = shapely.Polygon(ring + np.array([WEST + 20.0, NORTH - 20.0]))
    away = shapely.affinity.translate(here, 500.0, 0.0)
    both = [({"name": n}, shapely.geometry.mapping(p)) for n, p in (("A", here), ("B", away))]
    assert change(first, second, write_piles(both)) == 1
    compared, refused = table(second)
    assert float(compared["net_m3"]) > 0.0
    assert (refused["pile"], refused["net_m3"]) == ("B", "")
    assert "lies outside the survey" in refused["refused"]
    assert "refused: B: " in capsys.readouterr().err
