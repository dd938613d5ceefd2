"""The recipe: from a folder of photos to a survey folder, stage by stage."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyproj

from reconstruction import __version__
from reconstruction.control import read_control
from reconstruction.dense import DENSE, DenseInputs, DenseSurface
from reconstruction.dsm import DSM, Dsm, DsmOptions
from reconstruction.errors import OptionError
from reconstruction.features import FEATURES, FeatureInputs
from reconstruction.georeference import GEOREFERENCE, Georeferenced, GeoreferenceInputs
from reconstruction.images import IMAGES, PhotoFolder, PhotoSet, listing
from reconstruction.matches import MATCHES, MatchInputs, MatchOptions
from reconstruction.options import Options
from reconstruction.orthomosaic import ORTHOMOSAIC, OrthomosaicInputs
from reconstruction.pairs import PAIRS, PairOptions
from reconstruction.point_cloud import POINT_CLOUD, PointCloudInputs, PointCloudOptions
from reconstruction.products import (
    ACCURACY_FILE,
    SURVEY_FILE,
    Product,
    inventory,
    publish,
    write_json,
)
from reconstruction.report import write_report
from reconstruction.sfm import SFM, SfmInputs
from reconstruction.stage import Finished, Run, Stage, perform, tool_versions
from reconstruction.tie_refinement import TIES, TieInputs
from reconstruction.tiles3d import MODEL, ModelInputs
from reconstruction.vertical_datum import ellipsoid_above_m, in_one_datum

In = TypeVar("In")
Opt = TypeVar("Opt")
Out = TypeVar("Out")

RECIPE: tuple[Stage[Any, Any, Any], ...] = (
    IMAGES, PAIRS, FEATURES, MATCHES, SFM, TIES, GEOREFERENCE, DENSE, DSM, POINT_CLOUD,
    ORTHOMOSAIC, MODEL,
)  # fmt: skip
WORK_FOLDER = "work"
LOG_FILE = "log.jsonl"

Reporter = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Request:
    """What to reconstruct.

    Parameters
    ----------
    photos : Path
        Folder of photos.
    survey : Path
        Folder that the survey is written into; stages that finished there are not repeated.
    options : Options
    control : Path or None
        ``gcp_list.txt`` of ground control points and check points.
    positions : Path or None
        ``geo.txt`` of photo positions.
    """

    photos: Path
    survey: Path
    options: Options
    control: Path | None = None
    positions: Path | None = None


@dataclass
class _Kitchen:
    """Carries the run from stage to stage: progress, log and timings."""

    survey: Path
    jobs: int
    report: Reporter
    cancelled: threading.Event
    timings: list[dict[str, Any]] = field(default_factory=list)

    def cook(
        self, stage: Stage[In, Opt, Out], inputs: In, options: Opt, *depends_on: str
    ) -> Finished[Out]:
        total = sum(item.weight for item in RECIPE)
        before = sum(item.weight for item in RECIPE[: RECIPE.index(stage)])

        def report(fraction: float, message: str) -> None:
            self.report(stage.name, (before + stage.weight * fraction) / total, message)

        self.log(stage.name, "started")
        finished = perform(
            stage,
            inputs,
            options,
            self.survey / WORK_FOLDER,
            Run(report, self.jobs, self.cancelled),
            depends_on,
        )
        report(1.0, "done before" if finished.resumed else "done")
        seconds = {"seconds": finished.seconds, "cpu_seconds": finished.cpu_seconds}
        self.timings.append({"stage": stage.name, **seconds})
        self.log(stage.name, "resumed" if finished.resumed else "finished", **seconds)
        return finished

    def log(self, stage: str, event: str, **facts: Any) -> None:
        """Append one line to the survey's log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "stage": stage, "event": event, **facts})
        with (self.survey / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def reconstruct(
    request: Request,
    jobs: int,
    report: Reporter = lambda stage, fraction, message: None,
    cancelled: threading.Event | None = None,
) -> Path:
    """Make a survey of photos, or finish one that was interrupted.

    Parameters
    ----------
    request : Request
    jobs : int
        Cores to use.
    report : callable
        Receives stage, fraction of the whole run and a message.
    cancelled : threading.Event or None
        Set it to stop at the next opportunity; a later call resumes.

    Returns
    -------
    Path
        ``survey.json``.

    Raises
    ------
    ReconstructionError
        With a reason and a remedy.
    Cancelled
        When ``cancelled`` was set.
    """
    survey, options = request.survey, request.options
    _prepare(request)
    kitchen = _Kitchen(survey, jobs, report, cancelled or threading.Event())
    started = time.time()
    try:
        folder = PhotoFolder(request.photos, request.positions)
        images = kitchen.cook(IMAGES, folder, None, *listing(folder))
        flight = images.output
        control = read_control(request.control, flight.photos) if request.control else None
        leveled, datum_notes = in_one_datum(flight.photos, control)
        pairs = kitchen.cook(PAIRS, flight, PairOptions(), images.fingerprint)
        features = kitchen.cook(
            FEATURES, FeatureInputs(flight.photos), options.features, images.fingerprint
        )
        matches = kitchen.cook(
            MATCHES,
            MatchInputs(flight.photos, features.output, pairs.output.pairs),
            MatchOptions(),
            features.fingerprint,
            pairs.fingerprint,
        )
        model = kitchen.cook(
            SFM,
            SfmInputs(flight.photos, features.output, matches.output),
            options.sfm,
            matches.fingerprint,
        )
        files = {photo.name: photo.path for photo in flight.photos}
        tied = kitchen.cook(TIES, TieInputs(model.output, files), None, model.fingerprint)
        placed = kitchen.cook(
            GEOREFERENCE,
            GeoreferenceInputs(tied.output, leveled, control),
            options.georeference,
            tied.fingerprint,
            _digest(request.control),
            *datum_notes,
        )
        block = placed.output.block
        geoid_m = _geoid_height_m(placed.output)
        dense = kitchen.cook(DENSE, DenseInputs(block, files), options.dense, placed.fingerprint)
        gsd_m = dense.output.gsd_m
        dsm = kitchen.cook(DSM, dense.output, DsmOptions(), dense.fingerprint)
        cloud = kitchen.cook(
            POINT_CLOUD,
            PointCloudInputs(dense.output.tiles, block.frame.epsg),
            PointCloudOptions(),
            dense.fingerprint,
        )
        ortho = kitchen.cook(
            ORTHOMOSAIC,
            OrthomosaicInputs(block, files, dsm.output.dsm, gsd_m),
            options.orthomosaic,
            dsm.fingerprint,
        )
        textured = kitchen.cook(
            MODEL,
            ModelInputs(
                block, files, ortho.output.exposures, dsm.output.dsm, gsd_m, geoid_m or 0.0
            ),
            options.model,
            ortho.fingerprint,
            repr(geoid_m),
        )
    except BaseException as error:
        kitchen.log("run", "stopped", error=type(error).__name__, message=str(error))
        raise
    products = [
        Product("dsm.tif", dsm.output.dsm),
        Product("dsm_quality.tif", dsm.output.quality),
        Product("point_cloud.copc.laz", cloud.output.path),
        Product("orthomosaic.tif", ortho.output.path),
        Product("model", textured.output.tileset.parent),
    ]
    for product in products:
        publish(product, survey)
    write_json(survey / "cameras.geojson", _cameras(placed.output, flight))
    write_json(survey / ACCURACY_FILE, _accuracy(placed.output, dsm.output, dense.output))
    names = [*(product.name for product in products), "cameras.geojson", ACCURACY_FILE]
    kitchen.log("run", "finished", seconds=round(time.time() - started, 1))
    facts = _survey_facts(request, flight, placed.output, dense.output)
    facts["geoid_height_m"] = geoid_m
    facts["notes"] = [*flight.notes, *datum_notes, *placed.output.notes]
    facts["stages"] = kitchen.timings
    facts["products"] = inventory(survey, names)
    write_json(survey / SURVEY_FILE, facts)
    write_report(survey)
    return survey / SURVEY_FILE


def _prepare(request: Request) -> None:
    """Make the survey folder, and refuse one whose rasters would be taken for photos."""
    survey = request.survey.resolve()
    if survey.is_relative_to(request.photos.resolve()):
        raise OptionError(
            f"The survey folder {request.survey} lies inside the photo folder.",
            "Choose one beside it: everything below the photo folder counts as a photo.",
        )
    try:
        survey.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"The survey folder {request.survey} cannot be made: {error.strerror}.",
            "Choose a folder that you may write to.",
        ) from error


def _digest(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _geoid_height_m(placed: Georeferenced) -> float | None:
    """Height of the survey's vertical datum above the ellipsoid at its middle, where known."""
    frame = placed.block.frame
    above = ellipsoid_above_m(
        placed.vertical_datum, np.array([frame.latitude_deg]), np.array([frame.longitude_deg])
    )
    return None if above is None else float(above[0])


def _cameras(placed: Georeferenced, flight: PhotoSet) -> dict[str, Any]:
    """One point a photo: where it is, or why it is not there."""
    frame = placed.block.frame
    shots = {shot.name: shot for shot in placed.block.shots}
    features = []
    for photo in flight.photos:
        properties: dict[str, Any] = {
            "name": photo.name,
            "registered": photo.name in shots,
            "captured_at": photo.captured_at,
        }
        geometry = None
        if photo.position:
            properties["measured"] = asdict(photo.position)
        if photo.name in shots:
            shot = shots[photo.name]
            place = frame.to_map(shot.centre[None])[0]
            geometry = {"type": "Point", "coordinates": place.tolist()}
            # Camera axes are right, down, forward: the forward one tells where it looks.
            properties["looks_along"] = shot.rotation[2].tolist()
            properties["camera"] = shot.camera
        else:
            properties["reason"] = "Too few matches with other photos."
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    features += [
        {
            "type": "Feature",
            "geometry": None,
            "properties": {"name": name, "registered": False, "reason": reason},
        }
        for name, reason in flight.set_aside
    ]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{frame.epsg}"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


def _accuracy(placed: Georeferenced, dsm: Dsm, dense: DenseSurface) -> dict[str, Any]:
    """The adjustment's facts and the surface's.

    Noise that two halves of the photos do not share is measured by comparing them; what bends
    the whole block is known to the adjustment only. The surface has both.
    """
    bending = placed.accuracy["block_deformation"]
    noise: dict[str, Any] | None = None
    if dsm.noise is not None:
        noise = dsm.noise.to_json()
        noise["components"] = [*noise["components"], *bending]
    return {
        **placed.accuracy,
        "dsm_noise": noise,
        "dsm_area_m2": dsm.area_m2,
        "dsm_median_matches": dsm.median_count,
        "stereo_pair_count": len(dense.pairs),
    }


def _survey_facts(
    request: Request, flight: PhotoSet, placed: Georeferenced, dense: DenseSurface
) -> dict[str, Any]:
    epsg = placed.block.frame.epsg
    return {
        "format": "cairn-survey",
        "format_version": 1,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"cairn": __version__, **tool_versions()},
        "epsg": epsg,
        "crs_name": pyproj.CRS.from_epsg(epsg).name,
        "vertical_datum": placed.vertical_datum,
        "local_frame": placed.block.frame.to_json(),
        "bounds": list(dense.grid.bounds),
        "cell_size_m": dense.grid.cell_size_m,
        "gsd_m": dense.gsd_m,
        "image_count": len(flight.photos),
        "registered_count": len(placed.block.shots),
        "captured_at": min((p.captured_at for p in flight.photos if p.captured_at), default=None),
        "options": asdict(request.options),
        "set_aside": [{"name": name, "reason": reason} for name, reason in flight.set_aside],
        "verdict": flight.verdict.to_json(),
    }
