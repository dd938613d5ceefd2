"""Every file is read back by a program that did not write it and agrees with the table."""

import csv
import json
import os

import ezdxf
import numpy as np
import pyogrio.raw
import pyproj
import pytest
import rasterio
import shapely

from volumetrics.__main__ import main
from volumetrics.files.folder import file_stem
from volumetrics.files.whole import whole


def table(folder):
    with (folder / "volumes.csv").open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file))


def read_layer(path, layer):
    meta, _, shapes, columns = pyogrio.raw.read(path, layer=layer)
    values = dict(zip(meta["fields"], columns, strict=True))
    return meta, [shapely.from_wkb(shape) for shape in shapes], values


def test_the_geopackage_has_the_columns_of_the_table_and_the_vertical_datum(measure, pile):
    folder = measure("gpkg")
    row = table(folder)
    meta, (toe,), values = read_layer(folder / "piles.gpkg", "toes")
    for name, text in row.items():
        if name in ("pile", "base", "warnings"):
            assert values[name][0] == text
        elif text == "":
            assert name == "refused" or np.isnan(values[name][0])
        else:
            assert values[name][0] == pytest.approx(float(text), abs=6e-4)
    assert toe.area == pytest.approx(float(row["area_m2"]), abs=1e-3)
    crs = pyproj.CRS.from_user_input(meta["crs"])
    assert crs.is_compound
    assert crs.sub_crs_list[0].to_epsg() == 32615
    assert "EGM2008" in crs.sub_crs_list[1].name
    # The foot of the pile lies on its tilted ground.
    x, y, z = shapely.get_coordinates(toe, include_z=True).T
    level, east, north = pile.ground_m
    ground = level + east * (x - 500_010.0) + north * (y - 5_180_010.0)
    assert z == pytest.approx(ground, abs=0.15)


def test_contours_lie_on_the_surface_at_round_elevations(measure, pile):
    folder = measure("gpkg")
    _, lines, values = read_layer(folder / "piles.gpkg", "contours")
    assert 5 <= len(np.unique(values["elevation_m"])) <= 11
    for line, level in zip(lines, values["elevation_m"], strict=True):
        x, y, z = shapely.get_coordinates(line, include_z=True).T
        assert set(z) == {level}
        steps = level / 0.5
        assert steps == pytest.approx(round(steps), abs=1e-9)
        truth = pile.elevation_m(x - 500_010.0, y - 5_180_010.0)
        # Half a cell aside on a slope of at most 45 degrees.
        assert np.abs(truth - level).max() < 0.25


def test_the_dxf_holds_toe_contours_and_name_in_metres(measure):
    folder = measure("dxf,gpkg")
    document = ezdxf.readfile(folder / "piles.dxf")
    assert not document.audit().errors
    assert document.units == ezdxf.units.M
    space = document.modelspace()
    (toe,) = space.query('POLYLINE[layer=="TOES"]')
    corners = np.array([vertex.dxf.location.xyz for vertex in toe.vertices])
    assert toe.is_closed
    assert toe.is_3d_polyline
    row = table(folder)
    assert shapely.Polygon(corners).area == pytest.approx(float(row["area_m2"]), abs=1e-3)
    _, lines, _ = read_layer(folder / "piles.gpkg", "contours")
    drawn = space.query('POLYLINE[layer=="CONTOURS"]')
    assert len(drawn) == len(lines)
    (name,) = space.query('TEXT[layer=="NAMES"]')
    net_m3, u95_m3 = float(row["net_m3"]), float(row["net_u95_m3"])
    assert name.dxf.text == f"Sand 0/4 – wüst: {net_m3:.1f} ± {u95_m3:.1f} m³"


def test_the_raster_sums_to_the_volume_with_the_share_of_cells(measure, toe_ring):
    folder = measure("raster")
    row = table(folder)
    with rasterio.open(folder / "piles" / "01_sand_0_4_wust_height_above_base.tif") as raster:
        height = raster.read(1, masked=True)
        assert (raster.dtypes, raster.units) == (("float32",), ("m",))
        assert raster.tags()["pile"] == "Sand 0/4 – wüst"
        assert "32615" in raster.crs.to_wkt()
        a, _, west, _, _, north = tuple(raster.transform)[:6]
    toe = shapely.Polygon(toe_ring)
    rows, cols = np.nonzero(~height.mask)
    x, y = west + cols * a, north - rows * a
    cells = shapely.box(x, y - a, x + a, y)
    shares_m2 = shapely.area(shapely.intersection(cells, toe))
    assert shares_m2 @ height.data[rows, cols] == pytest.approx(float(row["net_m3"]), abs=1e-2)
    assert float(height.max()) == pytest.approx(float(row["height_max_m"]), abs=1e-3)


def test_the_geojson_is_in_degrees_and_measures_the_same_again(measure, survey_folder, tmp_path):
    folder = measure("geojson", properties={"walls": [[0, 9]]})
    row = table(folder)
    document = json.loads((folder / "piles.geojson").read_text(encoding="utf-8"))
    (feature,) = document["features"]
    x, y = np.array(feature["geometry"]["coordinates"][0]).T
    assert np.all((np.abs(x) < 180.0) & (np.abs(y) < 90.0))
    assert feature["properties"]["net_m3"] == pytest.approx(float(row["net_m3"]), abs=6e-4)
    assert len(feature["properties"]["walls"]) == 9
    again = tmp_path / "again"
    assert main([str(survey_folder), str(folder / "piles.geojson"), "--out", str(again)]) == 0
    second = table(again)
    for name in ("net_m3", "net_u95_m3", "area_m2", "wet_t", "wet_u95_t"):
        assert float(second[name]) == pytest.approx(float(row[name]), abs=2e-3)


def test_the_piles_that_were_given_are_not_written_over(
    survey_folder, write_piles, toe_ring, capsys, tmp_path
):
    geometry = {"type": "Polygon", "coordinates": [toe_ring]}
    piles = write_piles([({"name": "Sand"}, geometry)])
    before = piles.read_bytes()
    command = [str(survey_folder), str(piles), "--out", str(tmp_path), "--files"]
    assert main([*command, "geojson"]) == 2
    assert "--out" in capsys.readouterr().err
    assert piles.read_bytes() == before
    assert main([*command, "xls"]) == 2
    assert "does not know 'xls'" in capsys.readouterr().err


def test_file_stems_are_unique_and_plain():
    assert file_stem(1, "Ö/..\\ä") == "01_o_a"
    assert file_stem(2, "堆") == "02"
    assert len(file_stem(3, "x" * 300)) == 80


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("before")

    def fill_the_disk():
        with whole(path) as partial:
            partial.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["kept.txt"]
