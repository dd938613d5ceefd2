import hashlib
import re
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread
from rasterio.transform import Affine

from tests.volumetrics.files.test_folder import table
from volumetrics.files.page import pair


def words(path):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    found = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True, text=True
    )
    return re.sub(r"[ \t]+", " ", found.stdout)


def test_the_page_tells_what_the_table_tells(measure, survey_folder, tmp_path):
    folder = measure("pages")
    row = {
        name: float(text) for name, text in table(folder).items() if text.replace(".", "").isdigit()
    }
    text = words(folder / "piles" / "01_sand_0_4_wust.pdf")
    assert text.count("\f") == 1
    assert "Sand 0/4 – wüst" in text
    assert pair(row["net_m3"], row["net_u95_m3"], "m³") in text
    for name, unit in (("fill", "m3"), ("cut", "m3"), ("area", "m2"), ("height_max", "m")):
        sign = unit.replace("2", "²").replace("3", "³")
        assert pair(row[f"{name}_{unit}"], row[f"{name}_u95_{unit}"], sign) in text
    assert pair(row["wet_t"], row["wet_u95_t"], "t") in text
    # On the central meridian of a UTM zone the map shows 0.9996² of the ground.
    assert "EPSG:32615, heights: EGM2008; a map volume, on the ground it is 0.08% larger" in text
    for path in (survey_folder / "dsm.tif", tmp_path / "piles.geojson"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in text


def test_the_picture_is_the_page(measure):
    folder = measure("pages")
    picture = imread(folder / "piles" / "01_sand_0_4_wust.png")
    # A4 at 160 pixels an inch.
    assert np.abs(np.array(picture.shape[:2]) - np.array([297.0, 210.0]) / 25.4 * 160.0).max() < 1.0
    assert picture[..., 0].std() > 0.04


def test_an_orthomosaic_is_the_ground_of_the_plan(measure, survey_folder):
    plain = measure("pages") / "piles" / "01_sand_0_4_wust.png"
    before = imread(plain)
    red = np.zeros((4, 200, 200), np.uint8)
    red[[0, 3]] = 255
    with rasterio.open(
        survey_folder / "orthomosaic.tif", "w", driver="GTiff", width=200, height=200, count=4,
        dtype="uint8", crs="EPSG:32615", transform=Affine(0.1, 0, 500_000.0, 0, -0.1, 5_180_020.0),
    ) as raster:  # fmt: skip
        raster.write(red)
    after = imread(measure("pages") / "piles" / "01_sand_0_4_wust.png")

    def red_share(picture):
        red, green, blue = np.moveaxis(picture[..., :3], -1, 0)
        return np.mean((red > 0.98) & (green < 0.02) & (blue < 0.02))

    assert red_share(before) == 0.0
    # The plan fills 100 mm x 100 mm of 210 mm x 297 mm.
    assert 0.1 < red_share(after) < 0.16


@pytest.mark.parametrize(
    ("value", "u95", "text"),
    [
        (806.3812, 0.8735, "806.38 ± 0.87 m³"),
        (-12806.38, 123.4, "\N{MINUS SIGN}12 806 ± 123 m³"),
        (5.0, 0.0, "5.00 ± 0.00 m³"),
        (5.0, 1e-6, "5.000 ± 0.000 m³"),
    ],
)
def test_a_value_has_as_many_digits_as_its_interval_allows(value, u95, text):
    assert pair(value, u95, "m³") == text
