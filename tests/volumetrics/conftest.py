import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from volumetrics.synthetic import Pile

PILE = Pile((0.0, 0.0), 6.0, 0.8, 0.4, 4.0, 0.3, (100.0, 0.02, -0.01))
WEST, NORTH = 500_000.0, 5_180_020.0


@pytest.fixture
def pile():
    return PILE


@pytest.fixture
def write_dsm(tmp_path):
    """Write a surface of 20 m x 20 m with one pile in its middle; returns the path."""

    def write(path=None, crs="EPSG:32615", elevation_m=None, transform=None, **profile):
        path = path or tmp_path / "dsm.tif"
        grid = PILE.grid(20.0, 0.25)
        values = grid.elevation_m if elevation_m is None else elevation_m
        unit = profile.pop("unit", None)
        with rasterio.open(
            path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1,
            dtype=profile.pop("dtype", "float32"), crs=crs,
            transform=transform or Affine(0.25, 0, WEST, 0, -0.25, NORTH), **profile,
        ) as raster:  # fmt: skip
            raster.write(values, 1)
            if unit:
                raster.set_band_unit(1, unit)
        return path

    return write


@pytest.fixture
def toe_ring():
    """The toe of the pile in the map coordinates of the surface."""
    ring = np.asarray(PILE.toe().polygon.exterior.coords)
    return (ring + np.array([WEST + 10.0, NORTH - 10.0])).tolist()


@pytest.fixture
def write_piles(tmp_path):
    """Write features as GeoJSON; returns the path."""

    def write(features, crs="EPSG:32615"):
        document = {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": properties, "geometry": geometry}
                for properties, geometry in features
            ],
        }
        if crs:
            document["crs"] = {"type": "name", "properties": {"name": crs}}
        path = tmp_path / "piles.geojson"
        path.write_text(json.dumps(document))
        return path

    return write
