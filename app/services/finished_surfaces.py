"""Surfaces that others finished: a GeoTIFF, or a point cloud of lidar, made a survey folder.

With the picture of the ground that came along, or the colours of the points, or its relief, the
surface becomes a 3D model like any other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyproj
from flask import current_app
from rasterio.windows import Window
from sqlalchemy import select

from app.errors import InvalidInput
from app.extensions import db
from app.models import Site, Survey
from app.queries import photos
from app.services import ground_pictures

if TYPE_CHECKING:
    from app.services.point_clouds import PointCloud
    from reconstruction.rasters import Grid

CLOUDS = (".las", ".laz")
RASTERS = (".tif", ".tiff")
_TILE_CELLS = 2048
# Points in each cell, and how far they spread; the points themselves. Of clouds only.
_QUALITY, _POINTS = "dsm_quality.tif", "point_cloud.copc.laz"
_FILES = ("dsm.tif", _QUALITY, "orthomosaic.tif", _POINTS)
# Needed for the model only.
_RELIEF = "relief.tif"
# Called with the share that is done; raises where somebody cancelled.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Stated:
    """What somebody knows of a surface that its file does not say.

    Parameters
    ----------
    epsg : int or None
        CRS, for a file that names none.
    noise_sigma_m, noise_range_m : float or None
        1 sigma of the noise of a point of the surface, and the distance over which it hangs
        together. Without them the noise is estimated around each pile.
    vertical_sigma_m : float or None
        1 sigma of the height of the surface as a whole, as check points tell it.
    """

    epsg: int | None = None
    noise_sigma_m: float | None = None
    noise_range_m: float | None = None
    vertical_sigma_m: float | None = None


def kind_of(path: Path, name: str) -> str:
    """What an uploaded file is to the survey: its ``surface``, or a ``picture`` of it."""
    is_cloud = Path(name).suffix.lower() in CLOUDS
    return "surface" if is_cloud or not ground_pictures.is_picture(path) else "picture"


def check(path: Path, name: str) -> None:
    """Refuse an uploaded file at once that no surface can be made of.

    Raises
    ------
    InvalidInput
        With the reason. A CRS that is missing can still be stated.
    """
    if Path(name).suffix.lower() in CLOUDS:
        with path.open("rb") as file:
            if file.read(4) != b"LASF":
                raise InvalidInput(f"{name} is no LAS or LAZ file.", "Export it again.")
        return
    import rasterio

    from volumetrics.raster import cell_size_m, check_elevations, opened

    with _refused(path, name), opened(path) as raster:
        cell_size_m(raster)
        check_elevations(raster)
        if raster.crs is not None:
            _check_crs(_of_raster(raster.crs, None), rasterio.coords.BoundingBox(*raster.bounds))


def make(survey_id: UUID, options: dict[str, Any], workspace: Path, progress: Progress) -> None:
    """Make the survey folder of the surface that was uploaded to a survey.

    Raises
    ------
    InvalidInput
        When there is none, it cannot be used, or it lies in another CRS than the site.
    """
    (name,) = photos.names(survey_id, "surface")
    pictures = photos.names(survey_id, "picture")
    folder = current_app.extensions["cairn_storage"].photos(survey_id)
    site_epsg = db.session.scalar(select(Site.epsg).join(Survey).where(Survey.id == survey_id))
    db.session.remove()
    known = {field.name: options.get(field.name) for field in fields(Stated)}
    picture = folder / pictures[0] if pictures else None
    cores = current_app.extensions["cairn_config"].cores
    facts = build(folder / name, picture, workspace, Stated(**known), progress, cores)
    if site_epsg and facts["epsg"] != site_epsg:
        raise InvalidInput(
            f"{name} is in EPSG:{facts['epsg']}, the site in EPSG:{site_epsg}.",
            "Warp the surface to the CRS of the site: piles are compared there.",
        )


def build(
    path: Path,
    picture: Path | None,
    folder: Path,
    stated: Stated,
    progress: Progress,
    cores: int,
) -> dict[str, Any]:
    """Make the survey folder of a surface; returns what ``survey.json`` says.

    Parameters
    ----------
    path : Path
        The file as it was uploaded.
    picture : Path or None
        The orthomosaic that was uploaded with it.
    folder : Path
        The survey folder.
    cores : int

    Raises
    ------
    InvalidInput
        When a file cannot be used, with the reason.
    """
    from reconstruction.stage import Run
    from reconstruction.surface_model import build as build_model
    from reconstruction.surface_model import frame_of

    run = Run(progress, cores)
    _remove_products(folder)
    cloud = _cloud(path, stated) if path.suffix.lower() in CLOUDS else None
    with _refused(path, path.name):
        reading = run.part(0.0, 0.3).progress
        if cloud is None:
            crs, grid, source = _from_raster(path, folder, stated, reading)
        else:
            crs, grid, source = _from_cloud(cloud, folder, reading)
    ground = _picture(cloud, picture, folder, grid, stated, run.part(0.3, 0.4).progress)
    if cloud is not None:
        cloud.write_copc(grid, ground, folder / _POINTS, run.part(0.4, 0.6))
    frame = frame_of(folder / "dsm.tif")
    build_model(folder / "dsm.tif", ground, frame, folder / "model", run.part(0.6, 1.0))
    (folder / _RELIEF).unlink(missing_ok=True)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _write(folder / "accuracy.json", _accuracy(stated))
    facts = _facts(crs, grid, stated) | {
        "local_frame": frame.to_json(),
        "source": {"name": path.name, "sha256": digest} | source,
    }
    _write(folder / "survey.json", facts | {"products": _products(folder)})
    return facts


def _remove_products(folder: Path) -> None:
    """Remove what an earlier run made and this one may not make."""
    for name in (*_FILES, _RELIEF):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "model", ignore_errors=True)


def _picture(
    cloud: PointCloud | None,
    picture: Path | None,
    folder: Path,
    grid: Grid,
    stated: Stated,
    progress: Progress,
) -> Path:
    """Make what is laid over it: its orthomosaic, the colours of its points, or its relief."""
    orthomosaic, relief = folder / "orthomosaic.tif", folder / _RELIEF
    if picture is not None:
        ground_pictures.orthomosaic(picture, orthomosaic, grid.epsg, stated.epsg, progress)
        return orthomosaic
    if cloud is not None and cloud.draw(grid, orthomosaic, progress):
        return orthomosaic
    ground_pictures.relief(folder / "dsm.tif", relief, progress)
    return relief


def _cloud(path: Path, stated: Stated) -> PointCloud:
    from app.services.point_clouds import PointCloud

    return PointCloud.opened(path, None if stated.epsg is None else f"EPSG:{stated.epsg}")


def _from_raster(
    path: Path, folder: Path, stated: Stated, progress: Progress
) -> tuple[pyproj.CRS, Grid, dict[str, Any]]:
    from reconstruction.rasters import Grid, float_cog
    from volumetrics.raster import read_elevations
    from volumetrics.survey import open_survey

    surface = open_survey(path, None if stated.epsg is None else f"EPSG:{stated.epsg}")
    west, south, east, north = surface.bounds_m
    cell_m = surface.cell_size_m
    rows, cols = round((north - south) / cell_m), round((east - west) / cell_m)
    grid = Grid(_epsg(surface.crs), west, north, cell_m, rows, cols)
    seen = 0
    with float_cog(folder / "dsm.tif", grid, ["elevation_m"]) as raster:
        for number, (row, col, height, width) in enumerate(grid.tiles(_TILE_CELLS)):
            part = read_elevations(path, Window(col, row, width, height))
            seen += int((part == part).sum())
            raster.write(row, col, part)
            done = (number + 1) * _TILE_CELLS**2 / (rows * cols)
            progress(min(done, 1.0), f"{min(done, 1.0):.0%} of the surface is read")
    if not seen:
        raise InvalidInput(f"{path.name} has no elevations.", "Export it again.")
    return surface.crs, grid, {"kind": "raster", "coverage": seen / (rows * cols)}


def _from_cloud(
    cloud: PointCloud, folder: Path, progress: Progress
) -> tuple[pyproj.CRS, Grid, dict[str, Any]]:
    from reconstruction.rasters import float_cog

    _check_crs(cloud.crs, cloud.bounds_m)
    grid = cloud.grid(_epsg(cloud.crs), progress)
    sums = cloud.laid_on(grid, progress)
    with (
        float_cog(folder / "dsm.tif", grid, ["elevation_m"]) as elevations,
        float_cog(folder / _QUALITY, grid, ["matches", "spread_m"]) as qualities,
    ):
        for row, col, height, width in grid.tiles(_TILE_CELLS):
            layers = sums.layers(row, col, height, width)
            elevations.write(row, col, layers[0])
            qualities.write(row, col, layers[1:])
    coverage = float((sums.counts > 0).mean())
    source = {"kind": "point cloud", "point_count": cloud.count, "coverage": coverage}
    return cloud.crs, grid, source


def _of_raster(crs: Any, stated: str | None) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(crs.to_wkt() if crs is not None else stated)


def _check_crs(crs: pyproj.CRS, bounds: tuple[float, float, float, float]) -> None:
    from volumetrics.crs import check_metres

    west, south, east, north = bounds
    check_metres(crs, (0.5 * (west + east), 0.5 * (south + north)))


def _epsg(crs: pyproj.CRS) -> int:
    """The code of the horizontal part."""
    flat = crs.sub_crs_list[0] if crs.is_compound else crs
    code = flat.to_epsg()
    if code is None:
        raise InvalidInput(
            f"The CRS {flat.name!r} has no EPSG code.", "Warp the surface to one that has.", "epsg"
        )
    return int(code)


def _accuracy(stated: Stated) -> dict[str, Any]:
    noise = None
    if stated.noise_sigma_m is not None and stated.noise_range_m is not None:
        noise = {"sigma_m": stated.noise_sigma_m, "range_m": stated.noise_range_m}
    return {"dsm_noise": noise, "vertical_sigma_m": stated.vertical_sigma_m or 0.0}


def _facts(crs: pyproj.CRS, grid: Grid, stated: Stated) -> dict[str, Any]:
    from volumetrics import __version__

    return {
        "format": "cairn-survey",
        "format_version": 1,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"volumetrics": __version__},
        "epsg": grid.epsg,
        "crs_name": crs.name,
        "vertical_datum": crs.sub_crs_list[1].name if crs.is_compound else "not stated",
        "bounds": list(grid.bounds),
        "cell_size_m": grid.cell_size_m,
        "options": asdict(stated),
    }


def _products(folder: Path) -> list[dict[str, Any]]:
    from reconstruction.products import inventory

    names = [name for name in (*_FILES, "model", "accuracy.json") if (folder / name).exists()]
    return inventory(folder, names)


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False), "utf-8")


@contextmanager
def _refused(path: Path, name: str) -> Iterator[None]:
    """Say what the libraries refuse as the application does."""
    from reconstruction.errors import ReconstructionError
    from volumetrics.errors import VolumetricsError

    try:
        yield
    except (VolumetricsError, ReconstructionError) as error:
        # Where the file lies here is no matter of whoever sent it.
        reason = error.reason.replace(str(path), "the file")
        raise InvalidInput(f"{name}: {reason}", error.hint) from error
