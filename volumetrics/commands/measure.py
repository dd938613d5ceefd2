"""``python -m volumetrics SURVEY PILES.geojson``: volumes.csv and volumes.json of all piles."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from volumetrics import __version__
from volumetrics.base_surface import BaseMethod, Plane
from volumetrics.commands.refusals import print_refused
from volumetrics.cutter import cutter
from volumetrics.design import SUFFIXES, read_design
from volumetrics.errors import InputError, VolumetricsError
from volumetrics.extreme_base import Extreme
from volumetrics.files.folder import KINDS, write_files
from volumetrics.files.relief import reliefs
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.io import write_csv, write_json
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.polygons import read_exclusions, read_toes
from volumetrics.site import Site, measure_site
from volumetrics.site_change import survey_base
from volumetrics.surface_base import DesignBase, SurfaceBase
from volumetrics.survey import Survey, open_survey
from volumetrics.toe import Toe
from volumetrics.volume import MIN_COVERAGE

# The sigma of a line that somebody drew on an orthomosaic by hand.
TOE_SIGMA_M = 0.1
# A warning that concerns more piles than these counts the others.
_NAMED = 3
_METHODS: dict[str, BaseMethod] = {
    "plane": Plane(),
    "triangulated": Triangulated(),
    "smooth": Smooth(),
    "lowest": Extreme(is_lowest=True),
    "highest": Extreme(is_lowest=False),
    "average": Average(),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m volumetrics",
        description="Measure the volumes of stockpiles on a surface, each with its uncertainty.",
        epilog="Other commands: python -m volumetrics detect | snap | objects | change --help.",
    )
    parser.add_argument("survey", type=Path, help="survey folder, or a DSM GeoTIFF")
    parser.add_argument("piles", type=Path, help="toe polygons as GeoJSON, named by 'name'")
    parser.add_argument("--base", choices=(*_METHODS, "fixed", "survey", "design"), default="plane")
    parser.add_argument(
        "--base-surface",
        type=Path,
        metavar="SURFACE",
        help="for the base 'survey' a survey folder or GeoTIFF, for 'design' a GeoTIFF, or "
        "triangles as LandXML or DXF",
    )
    parser.add_argument(
        "--elevation", type=float, metavar="M", help="elevation of the base 'fixed' in metres"
    )
    parser.add_argument(
        "--elevation-sigma", type=float, default=0.0, metavar="M", help="its 1 sigma (default 0)"
    )
    parser.add_argument(
        "--toe-sigma",
        type=float,
        default=TOE_SIGMA_M,
        metavar="M",
        help=f"1 sigma of the drawn toe lines in metres (default {TOE_SIGMA_M})",
    )
    parser.add_argument(
        "--min-coverage",
        type=float,
        default=MIN_COVERAGE,
        metavar="SHARE",
        help=f"refuse a pile of which less was seen (default {MIN_COVERAGE})",
    )
    parser.add_argument(
        "--noise",
        metavar="SIGMA:RANGE,...",
        help="DSM noise in metres, 1 sigma and correlation range of each component, e.g. "
        "0.02:0.5,0.01:20 (default: accuracy.json, else estimated around each pile)",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        metavar="FILE",
        help="polygons of what is no pile, as a conveyor or a loader (GeoJSON): the surface there "
        "counts as not seen, and the volume with it is given beside",
    )
    parser.add_argument("--crs", help="CRS of a surface that names none, e.g. EPSG:32615")
    parser.add_argument("--out", type=Path, help="folder for the results (default: the survey's)")
    parser.add_argument(
        "--files",
        nargs="?",
        const=",".join(KINDS),
        default="",
        metavar="KIND,...",
        help=f"write more than volumes.csv and volumes.json: some of {', '.join(KINDS)}; "
        "all when none is named",
    )
    return parser


def _method(options: argparse.Namespace, survey: Survey, toes: Sequence[Toe]) -> BaseMethod:
    if options.base in _METHODS:
        return _METHODS[options.base]
    if options.base != "fixed":
        if options.base_surface is None:
            raise InputError(
                f"The base {options.base!r} has no surface.",
                "Give it, e.g. --base-surface LAST_WEEK.",
            )
        if options.base == "design" and options.base_surface.suffix.lower() in SUFFIXES:
            return DesignBase(read_design(options.base_surface, survey.crs))
        other = open_survey(options.base_surface, options.crs)
        if options.base == "survey":
            return survey_base(other, survey, toes, options.toe_sigma, options.min_coverage)
        if other.crs != survey.crs:
            raise InputError(
                f"The design is in {other.crs.name}, the survey in {survey.crs.name}.",
                "Warp one of them to the other's CRS first.",
            )
        return SurfaceBase(options.base, other)
    if options.elevation is None:
        raise InputError("The base 'fixed' has no elevation.", "Give it, e.g. --elevation 312.5.")
    return Fixed(options.elevation, options.elevation_sigma)


def _noise(text: str) -> DsmNoise:
    """Noise stated as ``sigma:range`` pairs."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        components = tuple(NoiseComponent(float(sigma), float(reach)) for sigma, reach in pairs)
    except ValueError as error:
        raise InputError(
            f"--noise {text!r} cannot be read.", "Write sigma:range pairs, e.g. 0.02:0.5,0.01:20."
        ) from error
    return DsmNoise(components, source="stated on the command line")


def _kinds(text: str) -> list[str]:
    kinds = [kind for kind in text.split(",") if kind]
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(
                f"--files does not know {kind!r}.",
                f"Name some of {', '.join(KINDS)}, after SURVEY and PILES.",
            )
    return kinds


def _print_table(site: Site) -> None:
    print(
        f"{'pile':24} {'net m³':>12} {'± 95 %':>10} {'ground ±':>10} {'fill m³':>12} "
        f"{'cut m³':>10} {'seen':>7}"
    )
    for volume in site.volumes:
        print(
            f"{volume.pile:24.24} {volume.net_m3:12.2f} {volume.net_u95_m3:10.2f} "
            f"{volume.ground_u95_m3:10.2f} {volume.fill_m3:12.2f} {volume.cut_m3:10.2f} "
            f"{volume.coverage:7.1%}"
        )
    if len(site.volumes) > 1:
        value, budget = site.totals()["net"]
        print(f"{'total':24} {value:12.2f} {budget.u95_m3:10.2f}")
    for warning in (*site.warnings, *_headlines(site)):
        print(f"warning: {warning}", file=sys.stderr)
    print_refused(site.refused)


def _headlines(site: Site) -> list[str]:
    """What the piles' warnings are about, each once; the table has them in full."""
    piles: dict[str, list[str]] = {}
    for volume in site.volumes:
        for warning in volume.warnings:
            piles.setdefault(warning.split(": ")[0], []).append(volume.pile)
    return [f"{about} ({_shortened(names)}; more in volumes.csv)" for about, names in piles.items()]


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _about(survey: Survey, options: argparse.Namespace) -> dict[str, object]:
    about: dict[str, object] = {
        "software": f"volumetrics {__version__}",
        "surface": str(survey.dsm_path),
        "crs": survey.crs.to_string(),
        "vertical_datum": survey.facts.get("vertical_datum"),
        "cell_size_m": survey.cell_size_m,
        "scale_sigma": survey.scale_sigma,
        "vertical_sigma_m": survey.vertical_sigma_m,
        "toe_sigma_m": options.toe_sigma,
        "polygons": str(options.piles),
        "surface_sha256": _sha256(survey.dsm_path),
        "polygons_sha256": _sha256(options.piles),
    }
    for name in ("base_surface", "exclude"):
        path = getattr(options, name)
        if path is not None:
            file = path / "dsm.tif" if path.is_dir() else path
            about |= {name: str(file), f"{name}_sha256": _sha256(file)}
    return about


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Run the command; 0 when every pile was measured, 1 when some were refused, 2 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        survey = open_survey(options.survey, options.crs)
        if options.noise is not None:
            survey = replace(survey, noise=_noise(options.noise))
        out = options.out or survey.dsm_path.parent
        kinds = _kinds(options.files)
        if "geojson" in kinds and (out / "piles.geojson").resolve() == options.piles.resolve():
            raise InputError(
                f"{options.piles} would be written over.", "Name another folder with --out."
            )
        toes, unusable = read_toes(options.piles, survey)
        method = _method(options, survey, toes)
        excluded = read_exclusions(options.exclude, survey) if options.exclude else []
        cut = cutter(survey, toes, options.toe_sigma, options.min_coverage, excluded)
        site = measure_site(cut, toes, method)
    except VolumetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    refused = unusable | dict(site.refused)
    site = Site(site.volumes, refused, site.warnings)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(site, out / "volumes.csv")
    about = _about(survey, options)
    write_json(site, out / "volumes.json", about)
    if kinds:
        write_files(kinds, out, reliefs(cut, toes, method, site.volumes), survey, about)
    _print_table(site)
    return 1 if site.refused else 0
