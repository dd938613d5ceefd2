"""The help: how to fly, mark control, draw, and read what comes out."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.errors import NotFound

blueprint = Blueprint("help_pages", __name__, url_prefix="/help")

# Address, title and what it answers, in the order of the work.
TOPICS = (
    ("fly", "Fly a survey", "Height, overlap and light: what makes a surface good."),
    ("control", "Place control points", "Where targets go, how many, and why some must be checks."),
    ("send", "Send photos by themselves", "Every week, without anybody at a browser."),
    ("toe", "Draw a toe", "Where a pile meets the ground, and what is left out."),
    ("base", "Choose a base", "What lies under the pile, when nobody has seen it."),
    ("plus-minus", "Read the ±", "What the interval says, where it comes from, how to shrink it."),
)


@blueprint.get("/")
@policy.anybody
def index() -> ResponseReturnValue:
    """Show what there is to read."""
    return render_template("help/index.html", topics=TOPICS)


@blueprint.get("/<topic>")
@policy.anybody
def show(topic: str) -> ResponseReturnValue:
    """Show a topic, with the one before and the one after."""
    names = [name for name, _, _ in TOPICS]
    if topic not in names:
        raise NotFound(f"There is no help on {topic!r}.", "Look at the list of topics.")
    place = names.index(topic)
    return render_template(
        f"help/{topic}.html",
        title=TOPICS[place][1],
        lead=TOPICS[place][2],
        before=TOPICS[place - 1] if place else None,
        after=TOPICS[place + 1] if place + 1 < len(TOPICS) else None,
    )
