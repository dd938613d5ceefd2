"""From a surface to confirmed toes: detect, snap and objects as somebody at a shell uses them."""

import json

import numpy as np
import pytest
import shapely

from volumetrics.__main__ import main

WEST, NORTH = 500_000.0, 5_180_020.0


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def confirm(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    for feature in document["features"]:
        feature["properties"]["confirmed"] = True
    path.write_text(json.dumps(document))


@pytest.fixture
def surface(write_dsm, pile):
    """A pile on ground of 40 m x 40 m, with the noise of a survey."""
    grid = pile.grid(40.0, 0.25)
    noise = np.random.default_rng(0).normal(0.0, 0.01, grid.elevation_m.shape)
    return write_dsm(elevation_m=grid.elevation_m + noise)


@pytest.fixture
def toe(pile):
    ring = np.asarray(pile.toe().polygon.exterior.coords)
    return shapely.Polygon(ring + np.array([WEST + 20.0, NORTH - 20.0]))


def feature(polygon, name="Sand"):
    return ({"name": name}, shapely.geometry.mapping(polygon))


def test_a_detected_pile_counts_only_when_confirmed(surface, pile, tmp_path, capsys):
    assert main(["detect", str(surface)]) == 0
    proposals = tmp_path / "proposals.geojson"
    (found,) = read(proposals)
    assert found["properties"]["confirmed"] is False
    assert found["properties"]["confidence"] > 0.5
    measure = [str(surface), str(proposals), "--out", str(tmp_path / "out")]
    assert main(measure) == 1
    assert "refused: proposal 1: nobody has confirmed" in capsys.readouterr().err
    confirm(proposals)
    assert main(measure) == 0
    (measured,) = json.loads((tmp_path / "out" / "volumes.json").read_text())["piles"]
    assert measured["net_m3"] == pytest.approx(pile.volume_m3, rel=0.03)


def test_known_piles_hand_their_names_on(surface, toe, write_piles, tmp_path, capsys):
    gone = shapely.affinity.translate(toe, -13.0, 13.0).buffer(-3.0)
    grown = feature(shapely.affinity.scale(toe, 0.8, 0.8))
    known = write_piles([grown, feature(gone, "Gravel")])
    assert main(["detect", str(surface), "--known", str(known)]) == 0
    (found,) = read(tmp_path / "proposals.geojson")
    properties = found["properties"]
    assert (properties["name"], properties["identity"]) == ("Sand", "grown")
    assert properties["was"] == ["Sand"]
    assert 0.0 < properties["identity_confidence"] <= 1.0
    assert "gone: Gravel" in capsys.readouterr().out


def test_a_rough_line_is_snapped_and_proposed(surface, toe, write_piles, tmp_path):
    piles = write_piles([feature(toe.buffer(1.0))])
    assert main(["snap", str(surface), str(piles)]) == 0
    (found,) = read(tmp_path / "snapped.geojson")
    assert found["properties"]["confirmed"] is False
    again = ["snap", str(surface), str(tmp_path / "snapped.geojson"), "--out"]
    assert main([*again, str(tmp_path / "again.geojson")]) == 0
    assert found["properties"]["moved_m"] == pytest.approx(1.0, abs=0.25)


def test_objects_are_proposed_and_excluded_when_confirmed(
    surface, write_dsm, pile, toe, write_piles, tmp_path, capsys
):
    grid = pile.grid(40.0, 0.25)
    elevation = grid.elevation_m.copy()
    elevation[64:68, 74:86] += 2.0
    write_dsm(elevation_m=elevation)
    piles = write_piles([feature(toe)])
    assert main(["objects", str(surface), str(piles)]) == 0
    objects = tmp_path / "objects.geojson"
    (found,) = read(objects)
    assert found["properties"]["name"] == "Sand, object 1"
    assert found["properties"]["height_m"] == pytest.approx(2.0, abs=0.3)
    out = tmp_path / "out"
    measure = [str(surface), str(piles), "--exclude", str(objects), "--out", str(out)]
    assert main(measure) == 2
    assert "nobody has confirmed" in capsys.readouterr().err
    assert not out.exists()
    confirm(objects)
    assert main([*measure, "--noise", "0.01:1"]) == 0
    (measured,) = json.loads((out / "volumes.json").read_text())["piles"]
    # The object is 1 m x 3 m x 2 m.
    added_m3 = measured["net_with_excluded_m3"] - measured["net_m3"]
    assert added_m3 == pytest.approx(6.0, abs=0.6)
    assert measured["net_m3"] == pytest.approx(pile.volume_m3, abs=measured["net_u95_m3"])


def test_the_input_is_never_written_over(surface, toe, write_piles, capsys):
    piles = write_piles([feature(toe)])
    before = piles.read_bytes()
    for command in ("snap", "objects"):
        assert main([command, str(surface), str(piles), "--out", str(piles)]) == 2
        assert "would be written over" in capsys.readouterr().err
    known = ["--known", str(piles), "--out", str(piles)]
    assert main(["detect", str(surface), *known]) == 2
    assert piles.read_bytes() == before


def test_a_pile_elsewhere_is_refused_and_the_others_go_on(
    surface, toe, write_piles, tmp_path, capsys
):
    away = shapely.affinity.translate(toe, 500.0, 0.0)
    piles = write_piles([feature(away, "Away"), feature(toe)])
    for command, file in (("snap", "snapped"), ("objects", "objects")):
        assert main([command, str(surface), str(piles)]) == 1
        assert "refused: Away: The toe at" in capsys.readouterr().err
        assert (tmp_path / f"{file}.geojson").is_file()


@pytest.mark.parametrize("command", ["detect", "snap", "objects", "change"])
def test_what_is_not_there_is_one_clear_line(command, write_piles, toe, tmp_path, capsys):
    piles = str(write_piles([feature(toe)]))
    nothing = str(tmp_path / "nothing")
    given = {"detect": [nothing], "change": [nothing, nothing, piles]}
    assert main([command, *given.get(command, [nothing, piles])]) == 2
    assert capsys.readouterr().err.startswith("error: There is no surface at")
