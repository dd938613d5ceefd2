"""The report of a survey: one page that a person can read, with everything inside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import jinja2

from reconstruction.report import key_numbers, summary, tables
from reconstruction.report.facts import Facts, read_facts
from reconstruction.report.figures import figures

REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"


def write_report(survey: Path) -> Path:
    """Write ``report.html`` into a survey folder.

    The page says only what the folder's files say: a fact that is missing is shown as not known,
    with the reason. It needs no other file, no script and no network.

    Parameters
    ----------
    survey : Path
        Folder with ``survey.json``, and with ``accuracy.json``, ``cameras.geojson`` and the
        rasters as far as they were made.

    Returns
    -------
    Path
        ``report.html``.

    Raises
    ------
    InputError
        When there is no ``survey.json``, or a file is damaged.
    """
    page = _render(read_facts(survey))
    target = survey / REPORT_FILE
    fresh = target.with_name(f".{REPORT_FILE}.new")
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(target)
    return target


def _render(facts: Facts) -> str:
    # Names and messages come from files of strangers: everything is escaped unless it is a
    # drawing, which escaped its words itself.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    accuracy = facts.accuracy
    products, files_inside = tables.product_tables(facts)
    return environment.get_template(_TEMPLATE).render(
        facts=facts,
        survey=facts.survey,
        title=_title(facts),
        version=(facts.survey.get("software") or {}).get("cairn", ""),
        created=_day(facts.survey.get("created_at")),
        vertical_datum=summary.vertical_datum(facts),
        headline=summary.headline(facts),
        notices=summary.notices(facts),
        tiles=key_numbers.tiles(facts),
        key_numbers=key_numbers.key_numbers(facts),
        figures=figures(facts),
        control=tables.point_table(accuracy.get("control_points") or [], "residual_m"),
        check=tables.point_table(accuracy.get("check_points") or [], "error_m"),
        cameras=tables.camera_tables(facts),
        photos=tables.photo_table(facts),
        stages=tables.stage_times(facts),
        settings=tables.settings(facts),
        products=products,
        files_inside=files_inside,
    )


def _title(facts: Facts) -> str:
    day = _day(facts.survey.get("captured_at"))
    return f"Survey of {day}" if day else "Survey of an unknown day"


def _day(written: str | None) -> str | None:
    if not written:
        return None
    moment = datetime.fromisoformat(written)
    return f"{moment.day} {moment:%B %Y}"
