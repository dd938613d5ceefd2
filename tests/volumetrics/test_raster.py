"""Windows of a raster: kept while it stays as it is, read again when it does not."""

import os

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from volumetrics.raster import read_cells

SIDE = 300


def write(path, values, moment_ns):
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "float32"}
    transform = Affine(0.1, 0.0, 500000.0, 0.0, -0.1, 5600000.0)
    with rasterio.open(path, "w", crs="EPSG:25832", transform=transform, **profile) as raster:
        raster.write(values.astype(np.float32), 1)
    os.utime(path, ns=(moment_ns, moment_ns))


def test_a_window_shows_the_raster_as_it_is_now(tmp_path):
    path, window = tmp_path / "dsm.tif", Window(-10, 120, 60, 50)
    first = np.arange(SIDE * SIDE, dtype=float).reshape(SIDE, SIDE)
    write(path, first, 10**18)
    found = read_cells(path, 1, window)
    assert np.isnan(found[:, :10]).all()
    np.testing.assert_array_equal(found[:, 10:], first[120:170, :50])
    # What a caller does with its cells is nobody else's business.
    found[:] = 0.0
    np.testing.assert_array_equal(read_cells(path, 1, window)[:, 10:], first[120:170, :50])
    write(path, first + 7.0, 2 * 10**18)
    np.testing.assert_array_equal(read_cells(path, 1, window)[:, 10:], first[120:170, :50] + 7.0)
