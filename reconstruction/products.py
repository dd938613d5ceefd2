"""Products: what a finished stage gives to the survey folder, complete or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SURVEY_FILE = "survey.json"
ACCURACY_FILE = "accuracy.json"


@dataclass(frozen=True)
class Product:
    """A file or folder of the survey.

    Parameters
    ----------
    name : str
        Place below the survey folder.
    source : Path
        Where its stage left it.
    """

    name: str
    source: Path


def publish(product: Product, survey: Path) -> None:
    """Put a product into its place in one step; the stage keeps its own.

    Files are hard links where the file system has them, so that nothing is stored twice.
    """
    target = survey / product.name
    fresh = target.with_name(f".{target.name}.new")
    stale = target.with_name(f".{target.name}.old")
    for leftover in (fresh, stale):
        _remove(leftover)
    if product.source.is_dir():
        shutil.copytree(product.source, fresh, copy_function=_link)
        (fresh / "manifest.json").unlink(missing_ok=True)
        if target.exists():
            target.rename(stale)
        fresh.rename(target)
        _remove(stale)
    else:
        _link(str(product.source), str(fresh))
        fresh.replace(target)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(path)


def inventory(survey: Path, names: list[str]) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of products; of a folder, each of its files."""
    places = [survey / name for name in names]
    files = [file for place in places for file in (place, *sorted(place.rglob("*")))]
    return [
        {
            "path": file.relative_to(survey).as_posix(),
            "size_bytes": file.stat().st_size,
            "sha256": _digest(file),
        }
        for file in files
        if file.is_file()
    ]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
