"""A tiny survey with a cone of known volume, as the reconstruction would leave it."""

import json
import math
from datetime import date

import numpy as np
import rasterio
from affine import Affine

from app.extensions import db
from app.models import Survey, SurveyState

WEST, NORTH, SIDE_M, CELL_M = 500000.0, 5600000.0, 60.0, 0.1
CENTRE = (WEST + 30.0, NORTH - 30.0)
RADIUS_M, HEIGHT_M, GROUND_M = 8.0, 5.0, 100.0
CONE_M3 = math.pi * RADIUS_M**2 * HEIGHT_M / 3.0


def write_survey(folder, *, height_m=HEIGHT_M, epsg=25832, raised_m=0.0):
    """Write dsm.tif, orthomosaic.tif, survey.json and accuracy.json; all lies too high."""
    folder.mkdir(parents=True, exist_ok=True)
    count = round(SIDE_M / CELL_M)
    x = WEST + (np.arange(count) + 0.5) * CELL_M
    y = NORTH - (np.arange(count) + 0.5) * CELL_M
    reach = np.hypot(x[None, :] - CENTRE[0], y[:, None] - CENTRE[1])
    cone = np.clip(1 - reach / RADIUS_M, 0, 1) * height_m
    surface = GROUND_M + raised_m + 0.01 * (x[None, :] - WEST) + cone
    profile = {
        "driver": "GTiff",
        "width": count,
        "height": count,
        "crs": f"EPSG:{epsg}",
        "transform": Affine(CELL_M, 0.0, WEST, 0.0, -CELL_M, NORTH),
        "tiled": True,
    }
    with rasterio.open(
        folder / "dsm.tif", "w", count=1, dtype="float32", nodata=-9999, **profile
    ) as raster:
        raster.write(surface.astype(np.float32), 1)
    with rasterio.open(
        folder / "orthomosaic.tif", "w", count=4, dtype="uint8", **profile
    ) as raster:
        shade = np.clip(40 * (surface - GROUND_M), 0, 255).astype(np.uint8)
        raster.write(np.stack([shade, shade, shade, np.full_like(shade, 255)]))
    survey = {
        "epsg": epsg,
        "vertical_datum": "ellipsoidal",
        "gsd_m": 0.03,
        "software": {"cairn": "0"},
        "options": {"quality": "standard"},
        "products": {},
    }
    (folder / "survey.json").write_text(json.dumps(survey))
    noise = {"dsm_noise": {"sigma_m": 0.01, "range_m": 0.5}, "scale_sigma": 1e-4}
    (folder / "accuracy.json").write_text(json.dumps(noise))


def ready_survey(app, site, *, flown_on=date(2026, 11, 20), name="Week 47", **options):
    """A survey of a site that is ready to measure."""
    survey = Survey(site_id=site.id, name=name, flown_on=flown_on, state=SurveyState.READY)
    db.session.add(survey)
    db.session.commit()
    write_survey(app.extensions["cairn_storage"].products(survey.id), **options)
    return survey


def circle(radius_m=RADIUS_M + 0.2, count=48, centre=CENTRE):
    """A toe around the cone, as the API takes it."""
    turns = np.linspace(0.0, 2.0 * np.pi, count + 1)
    ring = [
        [centre[0] + radius_m * math.cos(t), centre[1] + radius_m * math.sin(t), GROUND_M]
        for t in turns[:-1]
    ]
    return {"coordinates": [[*ring, ring[0]]], "walls": []}
