import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from volumetrics.__main__ import main


def feature(ring, name="Sand"):
    return ({"name": name}, {"type": "Polygon", "coordinates": [ring]})


@pytest.fixture
def survey_folder(write_dsm, tmp_path):
    folder = tmp_path / "survey"
    folder.mkdir()
    write_dsm(folder / "dsm.tif")
    report = {
        "scale_sigma": 2e-4,
        "dsm_noise": {"components": [{"sigma_m": 0.01, "range_m": 1.0}]},
    }
    (folder / "survey.json").write_text('{"epsg": 32615, "vertical_datum": "EGM2008"}')
    (folder / "accuracy.json").write_text(json.dumps(report))
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "base", ["plane", "triangulated", "smooth", "lowest", "highest", "average", "fixed"]
)
def test_a_survey_folder_gives_a_table_and_budgets(
    survey_folder, write_piles, toe_ring, pile, base, capsys
):
    piles = write_piles([feature(toe_ring)])
    fixed = ["--elevation", "100", "--elevation-sigma", "0.01"] if base == "fixed" else []
    assert main([str(survey_folder), str(piles), "--base", base, *fixed]) == 0
    (row,) = rows(survey_folder / "volumes.csv")
    assert (row["pile"], row["base"], row["coverage"]) == ("Sand", base, "1.0000")
    if base == "plane":
        assert float(row["net_m3"]) == pytest.approx(pile.volume_m3, rel=0.01)
    assert float(row["fill_m3"]) - float(row["cut_m3"]) == pytest.approx(
        float(row["net_m3"]), abs=2e-3
    )
    assert float(row["net_u95_m3"]) > 0.0
    document = json.loads((survey_folder / "volumes.json").read_text())
    assert document["vertical_datum"] == "EGM2008"
    net = document["piles"][0]["budgets"]["net"]
    assert sum(term["variance_m6"] for term in net["terms"]) == pytest.approx(net["sigma_m3"] ** 2)
    assert "Sand" in capsys.readouterr().out


def test_a_bare_raster_estimates_its_noise(write_dsm, write_piles, toe_ring, tmp_path, pile):
    out = tmp_path / "out"
    assert main([str(write_dsm()), str(write_piles([feature(toe_ring)])), "--out", str(out)]) == 0
    document = json.loads((out / "volumes.json").read_text())
    assert document["piles"][0]["noise"]["source"].startswith("estimated on the ground")


def test_a_refused_pile_has_its_reason_and_the_others_are_measured(
    survey_folder, write_piles, toe_ring, capsys
):
    away = [[x + 9.0, y] for x, y in toe_ring]
    piles = write_piles([feature(toe_ring), feature(away, "Away")])
    assert main([str(survey_folder), str(piles)]) == 1
    measured, refused = rows(survey_folder / "volumes.csv")
    assert measured["refused"] == ""
    assert refused["pile"] == "Away"
    assert refused["net_m3"] == ""
    assert "lies outside the survey" in refused["refused"]
    assert "refused: Away" in capsys.readouterr().err


def test_the_total_and_a_warning_of_overlap(survey_folder, write_piles, toe_ring, capsys):
    shifted = [[x + 1.0, y] for x, y in toe_ring]
    assert (
        main([str(survey_folder), str(write_piles([feature(toe_ring), feature(shifted, "B")]))])
        == 0
    )
    document = json.loads((survey_folder / "volumes.json").read_text())
    net = sum(one["net_m3"] for one in document["piles"])
    assert document["total"]["net"]["value_m3"] == pytest.approx(net)
    assert "Sand and B overlap" in document["warnings"][0]
    assert "overlap" in capsys.readouterr().err


def test_bad_input_is_one_clear_line(tmp_path, write_piles, toe_ring, survey_folder, capsys):
    piles = write_piles([feature(toe_ring)])
    assert main([str(tmp_path / "nothing"), str(piles)]) == 2
    assert capsys.readouterr().err.startswith("error: There is no surface at")
    assert main([str(survey_folder), str(piles), "--base", "fixed"]) == 2
    assert "--elevation" in capsys.readouterr().err


def test_an_earlier_survey_as_base_and_the_spread_of_the_methods(
    survey_folder, write_dsm, write_piles, toe_ring, pile, tmp_path
):
    bare = replace(pile, height_m=0.0).grid(20.0, 0.25).elevation_m
    before = write_dsm(tmp_path / "before.tif", elevation_m=bare)
    piles = write_piles([feature(toe_ring)])
    options = ["--base", "survey", "--base-surface", str(before)]
    assert main([str(survey_folder), str(piles), *options]) == 0
    (row,) = rows(survey_folder / "volumes.csv")
    assert float(row["net_m3"]) == pytest.approx(pile.volume_m3, rel=5e-3)
    nets = json.loads((survey_folder / "volumes.json").read_text())["piles"][0]["method_nets_m3"]
    assert nets["lowest"] > nets["plane"] > nets["highest"]
    central = [nets[name] for name in ("plane", "triangulated", "smooth", "average")]
    assert float(row["method_spread_m3"]) == pytest.approx(max(central) - min(central), abs=1e-3)


def test_a_base_surface_must_be_given_and_in_the_same_crs(
    survey_folder, write_dsm, write_piles, toe_ring, tmp_path, capsys
):
    piles = write_piles([feature(toe_ring)])
    assert main([str(survey_folder), str(piles), "--base", "design"]) == 2
    assert "--base-surface" in capsys.readouterr().err
    other = write_dsm(tmp_path / "other.tif", crs="EPSG:32616")
    options = ["--base", "survey", "--base-surface", str(other)]
    assert main([str(survey_folder), str(piles), *options]) == 2
    assert "Warp one of them" in capsys.readouterr().err


def waves(x, y):
    return 0.03 * np.sin(x / 3.0) * np.cos(y / 2.0) + 0.0 * x


def hill(x, y):
    return 0.02 * x**2 + 0.0 * y


def step(x, y):
    return np.where(x > 1.0, 0.5, 0.0) + 0.0 * y


@pytest.mark.parametrize(
    ("ground", "told"), [(waves, None), (hill, "the ground is uneven"), (step, "the base decides")]
)
def test_of_the_ground_is_warned_where_it_stands_out(
    survey_folder, write_dsm, write_piles, toe_ring, pile, capsys, ground, told
):
    grid = pile.grid(20.0, 0.25)
    elevation_m = grid.elevation_m + ground(grid.x_m()[None, :], grid.y_m()[:, None])
    write_dsm(survey_folder / "dsm.tif", elevation_m=elevation_m)
    piles = write_piles([feature(toe_ring, name) for name in "ABCDE"])
    assert main([str(survey_folder), str(piles)]) == 0
    row, *_ = rows(survey_folder / "volumes.csv")
    lines = capsys.readouterr().err.splitlines()
    warned = [line for line in lines if "overlap" not in line]
    if told is None:
        assert float(row["ground_u95_m3"]) > float(row["net_u95_m3"])
        assert warned == []
    else:
        assert row["warnings"].startswith(told)
        assert f"warning: {told} (A, B, C and 2 more; more in volumes.csv)" in warned


def test_tonnes_where_the_density_is_stated(survey_folder, write_piles, toe_ring):
    properties, geometry = feature(toe_ring)
    known = properties | {"density_t_m3": 1.6, "density_sigma_t_m3": 0.05, "moisture": 0.04}
    unknown = properties | {"name": "Unknown"}
    wrong = properties | {"name": "Wrong", "density_t_m3": 1600}
    piles = write_piles([(known, geometry), (unknown, geometry), (wrong, geometry)])
    assert main([str(survey_folder), str(piles)]) == 1
    first, second, third = rows(survey_folder / "volumes.csv")
    assert float(first["wet_t"]) == pytest.approx(1.6 * float(first["net_m3"]), rel=1e-4)
    assert float(first["dry_t"]) == pytest.approx(float(first["wet_t"]) / 1.04, rel=1e-4)
    assert second["wet_t"] == ""
    assert "1600 t/m³ is impossible" in third["refused"]


def test_noise_can_be_stated_where_there_is_no_ground_to_estimate_it(
    write_dsm, write_piles, tmp_path, capsys
):
    path = write_dsm(elevation_m=np.full((40, 40), 3.0))
    ring = [[500_000 + x, 5_180_020 - y] for x, y in [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]]
    piles = write_piles([feature(ring, "Bin")])
    out = ["--out", str(tmp_path / "out")]
    assert main([str(path), str(piles), *out]) == 2
    assert "--noise" in capsys.readouterr().err
    assert main([str(path), str(piles), *out, "--noise", "0.02:0.5,0.01:20"]) == 0
    (row,) = rows(tmp_path / "out" / "volumes.csv")
    assert float(row["area_m2"]) == pytest.approx(100.0, abs=1e-3)
    assert float(row["net_u95_m3"]) > 0.0
    assert main([str(path), str(piles), *out, "--noise", "2 cm"]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base", "fixed", "--elevation", "nan"], "A base at nan"),
        (["--base", "fixed", "--elevation", "1", "--elevation-sigma", "-1"], "A base at 1.0"),
        (["--toe-sigma", "-0.1"], "A toe line of -0.1 m"),
        (["--min-coverage", "2"], "A least coverage of 2.0"),
        (["--noise=-0.01:1"], "sigma -0.01 m"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(
    survey_folder, write_piles, toe_ring, options, said, capsys
):
    piles = write_piles([feature(toe_ring)])
    assert main([str(survey_folder), str(piles), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (survey_folder / "volumes.csv").exists()


def test_a_folder_that_cannot_be_written_is_told(survey_folder, write_piles, toe_ring, capsys):
    geometry = {"type": "Polygon", "coordinates": [toe_ring]}
    piles = write_piles([({"name": "Sand"}, geometry)])
    assert main([str(survey_folder), str(piles), "--out", str(piles)]) == 2
    assert "piles.geojson: File exists. Check the path" in capsys.readouterr().err
