"""A pile on a raster that memory could not hold."""

import resource
import subprocess
import sys

import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine
from rasterio.windows import Window

from volumetrics.synthetic import Pile

SIDE, CELL_M = 40_000, 0.05
# The raster alone has 6.4 GB; what the libraries map without using it counts, too.
LIMIT_BYTES = 3 * 2**30
PILE = Pile((0.0, 0.0), 6.0, 0.8, 0.4, 4.0, 0.3, (100.0, 0.02, -0.01))

MEASURE = """
import sys
from pathlib import Path
import shapely
from volumetrics.base_surface import Plane
from volumetrics.cutter import cutter
from volumetrics.site import measure_site
from volumetrics.survey import open_survey
from volumetrics.toe import Toe

toe = Toe("pile", shapely.from_wkt(sys.argv[2]))
cut = cutter(open_survey(Path(sys.argv[1])), [toe], 0.1)
site = measure_site(cut, [toe], Plane())
print(site.volumes[0].net_m3)
"""


def test_a_pile_of_a_raster_beyond_memory_is_measured_in_its_window(tmp_path):
    path = tmp_path / "dsm.tif"
    part = PILE.grid(60.0, CELL_M).elevation_m.astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="float32",
        crs="EPSG:32615", transform=Affine(CELL_M, 0, 500_000, 0, -CELL_M, 5_180_000),
        nodata=-9999.0, tiled=True, blockxsize=512, blockysize=512, compress="deflate",
        SPARSE_OK=True,
    ) as raster:  # fmt: skip
        raster.write(part, 1, window=Window(20_000, 20_000, part.shape[1], part.shape[0]))
    toe = shapely.affinity.translate(PILE.toe().polygon, 501_030.0, 5_178_970.0)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), toe.wkt],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES)),
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Single precision at 100 m above the datum: half a unit in the last place is 4 micrometres.
    assert abs(float(done.stdout) - PILE.volume_m3) < 0.01 * PILE.volume_m3
