"""The recipe: from a folder of photos to a survey folder, stage by stage."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import rasterio

from reconstruction import room, survey_facts
from reconstruction.alone import alone
from reconstruction.control_list import read_control
from reconstruction.dense import DENSE, DenseInputs
from reconstruction.dsm import DSM, DsmOptions
from reconstruction.errors import OptionError
from reconstruction.features import FEATURES, FeatureInputs
from reconstruction.georeference import GEOREFERENCE, GeoreferenceInputs
from reconstruction.images import IMAGES, PhotoFolder, PhotoSet, listing
from reconstruction.matches import MATCHES, MatchInputs, MatchOptions
from reconstruction.options import Options
from reconstruction.orthomosaic import ORTHOMOSAIC, OrthomosaicInputs
from reconstruction.pairs import PAIRS, PairOptions
from reconstruction.point_cloud import POINT_CLOUD, PointCloudInputs
from reconstruction.products import (
    ACCURACY_FILE,
    SURVEY_FILE,
    Product,
    inventory,
    publish,
    write_json,
)
from reconstruction.report import write_report
from reconstruction.sfm import SFM, SfmInputs, finds_own_features
from reconstruction.stage import (
    MANIFEST,
    Finished,
    Run,
    Spreader,
    Stage,
    fingerprint_of,
    is_fresh,
    perform,
    unforeseen,
)
from reconstruction.tie_refinement import TIES, TieInputs
from reconstruction.tiles3d import MODEL, ModelInputs
from reconstruction.vertical_datum import in_one_datum

In = TypeVar("In")
Opt = TypeVar("Opt")
Out = TypeVar("Out")

RECIPE: tuple[Stage[Any, Any, Any], ...] = (
    IMAGES, PAIRS, FEATURES, MATCHES, SFM, TIES, GEOREFERENCE, DENSE, DSM, POINT_CLOUD,
    ORTHOMOSAIC, MODEL,
)  # fmt: skip
_TOTAL_WEIGHT = sum(stage.weight for stage in RECIPE)
WORK_FOLDER = "work"
LOG_FILE = "log.jsonl"
LOCK_FILE = ".lock"
# GDAL would keep blocks of rasters in a twentieth of the machine's memory.
_RASTER_CACHE_BYTES = 256 << 20

Reporter = Callable[[str, float, str], None]
Teller = Callable[[str], None]


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
    teller: Teller
    cancelled: threading.Event
    spreader: Spreader | None
    timings: list[dict[str, Any]] = field(default_factory=list)

    def _share_before(self, stage: Stage[Any, Any, Any]) -> float:
        """Share of the run's work that comes before a stage."""
        return sum(item.weight for item in RECIPE[: RECIPE.index(stage)]) / _TOTAL_WEIGHT

    def cook(
        self, stage: Stage[In, Opt, Out], inputs: In, options: Opt, *depends_on: str
    ) -> Finished[Out]:
        before, share = self._share_before(stage), stage.weight / _TOTAL_WEIGHT

        def report(fraction: float, message: str) -> None:
            self.report(stage.name, before + share * fraction, message)

        self.log(stage.name, "started")
        finished = perform(
            stage,
            inputs,
            options,
            self.survey / WORK_FOLDER,
            Run(report, self.jobs, self.cancelled, self.spreader),
            depends_on,
        )
        report(1.0, "done before" if finished.resumed else "done")
        seconds = {"seconds": finished.seconds, "cpu_seconds": finished.cpu_seconds}
        self.timings.append({"stage": stage.name, **seconds})
        self.log(stage.name, "resumed" if finished.resumed else "finished", **seconds)
        return finished

    def skip(self, stage: Stage[Any, Any, Any], why: str) -> None:
        """Pass over a stage that nothing needs."""
        self.report(stage.name, self._share_before(stage) + stage.weight / _TOTAL_WEIGHT, why)
        self.log(stage.name, "skipped", message=why)

    def tell(self, stage: Stage[Any, Any, Any], *notes: str) -> None:
        """Tell people what they should know, and log it."""
        for note in notes:
            self.teller(note)
            self.log(stage.name, "note", message=note)

    def log(self, stage: str, event: str, **facts: Any) -> None:
        """Append one line to the survey's log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "stage": stage, "event": event, **facts})
        with (self.survey / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def log_end(self, error: BaseException) -> None:
        """Log why a run ends; where the disk is full, that is told by the error alone."""
        with suppress(OSError):
            self.log("run", "stopped", error=type(error).__name__, message=str(error))


def reconstruct(
    request: Request,
    jobs: int,
    report: Reporter = lambda stage, fraction, message: None,
    cancelled: threading.Event | None = None,
    tell: Teller = lambda note: None,
    spreader: Spreader | None = None,
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
    tell : callable
        Receives what a surveyor should know, a sentence or two at a time, as soon as it is found.
    spreader : callable or None
        Computes shards on other machines, see `Run.spread`; None uses this one alone.

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
    _prepare(request)
    stop = cancelled or threading.Event()
    kitchen = _Kitchen(request.survey, jobs, report, tell, stop, spreader)
    waiting = Run(partial(report, RECIPE[0].name), cancelled=stop)
    message = "Waiting for another run in this survey folder to end"
    try:
        with alone(request.survey / LOCK_FILE, lambda: waiting.progress(0.0, message)):
            return _logged(request, kitchen)
    except OSError as error:
        raise unforeseen("survey", error, request.survey) from error


def _logged(request: Request, kitchen: _Kitchen) -> Path:
    """The recipe, and in the log how it ended; who only waited leaves nothing there."""
    try:
        with rasterio.Env(GDAL_CACHEMAX=_RASTER_CACHE_BYTES):
            return _follow(request, kitchen)
    except BaseException as error:
        kitchen.log_end(error)
        raise


def _follow(request: Request, kitchen: _Kitchen) -> Path:
    """The recipe."""
    survey, options = request.survey, request.options
    started = time.time()
    folder = PhotoFolder(request.photos, request.positions)
    images = kitchen.cook(IMAGES, folder, None, *listing(folder))
    flight = images.output
    control = read_control(request.control, flight.photos) if request.control else None
    verdict = flight.judged(control)
    kitchen.tell(IMAGES, *map(str, verdict.findings), *flight.notes)
    verdict.require_usable()
    _require_room(survey, flight, options)
    leveled, datum_notes = in_one_datum(flight.photos, control)
    kitchen.tell(IMAGES, *datum_notes)
    matched, fingerprint = _matched(images, options, kitchen)
    model = kitchen.cook(SFM, matched, options.sfm, fingerprint)
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
    kitchen.tell(GEOREFERENCE, *placed.output.notes)
    block = placed.output.block
    geoid_m = survey_facts.geoid_height_m(placed.output)
    _forget_what_is_incomplete(survey / WORK_FOLDER, options, placed.fingerprint)
    dense = kitchen.cook(DENSE, DenseInputs(block, files), options.dense, placed.fingerprint)
    gsd_m = dense.output.gsd_m
    dsm = kitchen.cook(DSM, dense.output, DsmOptions(), dense.fingerprint)
    cloud = kitchen.cook(
        POINT_CLOUD,
        PointCloudInputs(dense.output.tiles, block.frame.epsg),
        options.point_cloud,
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
        ModelInputs(block, files, ortho.output.exposures, dsm.output.dsm, gsd_m, geoid_m or 0.0),
        options.model,
        ortho.fingerprint,
        repr(geoid_m),
    )
    products = [
        Product("dsm.tif", dsm.output.dsm),
        Product("dsm_quality.tif", dsm.output.quality),
        Product("point_cloud.copc.laz", cloud.output.path),
        Product("orthomosaic.tif", ortho.output.path),
        Product("model", textured.output.tileset.parent),
    ]
    # From here until the new one is written the folder is no complete survey.
    (survey / SURVEY_FILE).unlink(missing_ok=True)
    for product in products:
        publish(product, survey)
    write_json(survey / "cameras.geojson", survey_facts.cameras(placed.output, flight))
    write_json(
        survey / ACCURACY_FILE, survey_facts.accuracy(placed.output, dsm.output, dense.output)
    )
    names = [*(product.name for product in products), "cameras.geojson", ACCURACY_FILE]
    kitchen.log("run", "finished", seconds=round(time.time() - started, 1))
    facts = survey_facts.survey(options, flight, verdict, placed.output, dense.output, cloud.output)
    facts["geoid_height_m"] = geoid_m
    facts["notes"] = [*flight.notes, *datum_notes, *placed.output.notes]
    facts["stages"] = kitchen.timings
    facts["products"] = inventory(survey, names)
    write_json(survey / SURVEY_FILE, facts)
    write_report(survey)
    dense.output.forget_points()
    return survey / SURVEY_FILE


def _matched(
    images: Finished[PhotoSet], options: Options, kitchen: _Kitchen
) -> tuple[SfmInputs, str]:
    """What structure from motion gets, with its fingerprint: photos and, if need be, matches."""
    photos = images.output.photos
    if finds_own_features(options.engine):
        for stage in (PAIRS, FEATURES, MATCHES):
            kitchen.skip(stage, f"done by {options.engine} itself")
        return SfmInputs(photos), images.fingerprint
    pairs = kitchen.cook(PAIRS, images.output, PairOptions(), images.fingerprint)
    features = kitchen.cook(FEATURES, FeatureInputs(photos), options.features, images.fingerprint)
    matches = kitchen.cook(
        MATCHES,
        MatchInputs(photos, features.output, pairs.output.pairs),
        MatchOptions(),
        features.fingerprint,
        pairs.fingerprint,
    )
    return SfmInputs(photos, features.output, matches.output), matches.fingerprint


def _forget_what_is_incomplete(work: Path, options: Options, placed: str) -> None:
    """Let a dense surface without its points be made anew, unless what is made of them is there."""
    dense = fingerprint_of(DENSE, options.dense, [placed])
    made = ((DSM, DsmOptions()), (POINT_CLOUD, options.point_cloud))
    is_made = all(is_fresh(stage, work, fingerprint_of(stage, own, [dense])) for stage, own in made)
    folder = work / DENSE.name
    if is_fresh(DENSE, work, dense) and not is_made and not DENSE.load(folder).has_points:
        (folder / MANIFEST).unlink()


def _require_room(survey: Path, flight: PhotoSet, options: Options) -> None:
    """Refuse what would fill the disk; an earlier surface stands for what is not written again."""
    if not (survey / WORK_FOLDER / DENSE.name).exists():
        pixels = sum(photo.width_px * photo.height_px for photo in flight.photos)
        count = len(flight.photos)
        room.require(survey, room.needed_bytes(count, pixels / count, options.quality))


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
