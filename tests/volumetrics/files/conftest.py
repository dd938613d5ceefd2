import json

import pytest

from volumetrics.__main__ import main


@pytest.fixture
def survey_folder(write_dsm, tmp_path):
    folder = tmp_path / "survey"
    folder.mkdir()
    write_dsm(folder / "dsm.tif")
    noise = {"components": [{"sigma_m": 0.01, "range_m": 1.0}]}
    (folder / "survey.json").write_text('{"epsg": 32615, "vertical_datum": "EGM2008"}')
    (folder / "accuracy.json").write_text(json.dumps({"scale_sigma": 2e-4, "dsm_noise": noise}))
    return folder


@pytest.fixture
def measure(survey_folder, write_piles, toe_ring, tmp_path):
    """Measure the pile and write some kinds of files; returns their folder."""

    def run(kinds, *more, properties=None, ring=None):
        geometry = {"type": "Polygon", "coordinates": [ring or toe_ring]}
        known = {"name": "Sand 0/4 – wüst", "density_t_m3": 1.6, "density_sigma_t_m3": 0.05}
        piles = write_piles([(known | (properties or {}), geometry)])
        out = tmp_path / "out"
        command = [str(survey_folder), str(piles), "--out", str(out), "--files", kinds]
        assert main([*command, *more]) == 0
        return out

    return run
