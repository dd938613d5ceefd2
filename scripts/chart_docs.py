"""The table of the chart's README and the schema of its values, made of the values' comments.

    python -m scripts.chart_docs           # writes both
    python -m scripts.chart_docs --check   # says whether they are current

Marks in a comment say more than the default does: ``[one of: a, b]``, ``[from: 1]``,
``[pattern: ^x]``, ``[free]``, ``[list of: string]``, ``[like: first]``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent / "helm" / "cairn"
_BEGIN, _END = "<!-- VALUES BEGIN -->\n", "<!-- VALUES END -->\n"
_MARK = re.compile(r"\s*\[(free|(?:one of|from|pattern|list of|like): (?:[^][]|\[[^]]*\])+)\]")
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True)
class Value:
    """One entry of values.yaml: its path, default, description and marks."""

    path: str
    default: Any
    text: str
    marks: dict[str, str]
    inside: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def is_leaf(self) -> bool:
        """Whether it is described as a whole."""
        return not self.inside or "free" in self.marks


def read(path: Path) -> tuple[Value, ...]:
    """The entries of a values file.

    Raises
    ------
    ValueError
        When an entry that people set has no comment.
    """
    text = path.read_text(encoding="utf-8")
    return tuple(_entries(yaml.compose(text), yaml.safe_load(text), text.splitlines(), ""))


def _entries(node: Any, defaults: Any, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, child in node.value:
        text, marks = _comment(lines, key.start_mark.line)
        path = f"{prefix}{key.value}"
        default = defaults[key.value]
        inside: tuple[Value, ...] = ()
        if isinstance(default, dict) and default and "free" not in marks:
            shown = child.value[:1] if "like" in marks else child.value
            nodes = yaml.MappingNode(child.tag, shown)
            inside = tuple(_entries(nodes, default, lines, f"{path}."))
        if not inside and not text:
            raise ValueError(f"{path} has no comment in values.yaml.")
        yield Value(path, default, text, marks, inside)


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, str]]:
    """Text and marks of the comment right above a line, at its indentation."""
    indent = len(lines[line]) - len(lines[line].lstrip())
    start = line
    while start and lines[start - 1].startswith(" " * indent + "#"):
        start -= 1
    text = " ".join(found.strip().lstrip("# ") for found in lines[start:line])
    marks = dict([*found.split(": ", 1), ""][:2] for found in _MARK.findall(text))
    return _MARK.sub("", text), marks


def schema(values: tuple[Value, ...]) -> dict[str, Any]:
    """JSON schema of a values file."""
    whole = _object(values)
    # Helm hands these to every chart.
    whole["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole}


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {value.name: _schema(value) for value in values},
    }


def _schema(value: Value) -> dict[str, Any]:
    marks = value.marks
    if "free" in marks:
        return {"type": "object", "description": value.text}
    if "like" in marks:
        entry = _object(value.inside[0].inside)
        return {"type": "object", "description": value.text, "additionalProperties": entry}
    if value.inside:
        return _object(value.inside)
    found: dict[str, Any] = {"type": _TYPES[type(value.default)], "description": value.text}
    if "one of" in marks:
        found["enum"] = marks["one of"].split(", ")
    if "from" in marks:
        found["minimum"] = int(marks["from"])
    if "pattern" in marks:
        found["pattern"] = marks["pattern"]
    if "list of" in marks:
        found["items"] = {"type": marks["list of"]}
    return found


def table(values: tuple[Value, ...]) -> str:
    """Markdown table of all entries."""
    rows = "".join(_rows(values))
    return f"| value | default | what it is |\n|---|---|---|\n{rows}"


def _rows(values: tuple[Value, ...]) -> Iterator[str]:
    for value in values:
        if value.is_leaf:
            yield f"| `{value.path}` | {_default(value)} | {_told(value)} |\n"
        elif "like" in value.marks:
            names = ", ".join(f"`{name}`" for name in value.default)
            yield f"| `{value.path}.NAME` | {names} | {value.text} |\n"
            first = value.inside[0]
            for row in _rows(first.inside):
                yield row.replace(f"`{first.path}.", f"`{value.path}.NAME.")
        else:
            yield from _rows(value.inside)


def _default(value: Value) -> str:
    shown = json.dumps(value.default, ensure_ascii=False)
    return "" if value.default == "" else f"`{shown}`"


def _told(value: Value) -> str:
    choices = value.marks.get("one of")
    return value.text + (f" One of: {choices}." if choices else "")


def outputs(values: tuple[Value, ...], readme: str) -> dict[str, str]:
    """Contents of the files that are made of the values, by name."""
    before, rest = readme.split(_BEGIN)
    _, after = rest.split(_END)
    return {
        "README.md": f"{before}{_BEGIN}{table(values)}{_END}{after}",
        "values.schema.json": json.dumps(schema(values), indent=1, ensure_ascii=False) + "\n",
    }


def main() -> int:
    """Write or compare; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.chart_docs")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    chosen = parser.parse_args()
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    made = outputs(read(CHART / "values.yaml"), readme)
    stale = [
        name
        for name, text in made.items()
        if not (CHART / name).exists() or (CHART / name).read_text(encoding="utf-8") != text
    ]
    if chosen.check:
        print("".join(f"stale: {name}\n" for name in stale) or "current")
        return 1 if stale else 0
    for name in stale:
        (CHART / name).write_text(made[name], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
