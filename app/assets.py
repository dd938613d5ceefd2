"""Where the built scripts and styles of the front end lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_REMEDY = "Build the front end: npm ci && npm run build, in app/frontend."


class Assets:
    """Addresses of built files, from the manifest that Vite writes.

    Parameters
    ----------
    folder : Path
        Holds ``manifest.json`` and what it names.
    url : str
        Address of the folder, ending in a slash.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._manifest = folder / "manifest.json"
        self._url = url
        self._read: tuple[int, dict[str, Any]] | None = None

    def script(self, page: str) -> str:
        """Address of the script of a page.

        Raises
        ------
        FileNotFoundError
            When the front end is not built, or has no such page.
        """
        return self._url + str(self._entry(_key(page))["file"])

    def styles(self, page: str) -> list[str]:
        """Addresses of the style sheets of a page, its imports' first.

        Raises
        ------
        FileNotFoundError
            When the front end is not built, or has no such page.
        """
        found: dict[str, None] = {}
        self._collect(_key(page), found, set())
        return [self._url + name for name in found]

    def _collect(self, key: str, found: dict[str, None], seen: set[str]) -> None:
        if key in seen:
            return
        seen.add(key)
        entry = self._entry(key)
        for imported in entry.get("imports", []):
            self._collect(imported, found, seen)
        found.update(dict.fromkeys(entry.get("css", [])))

    def _entry(self, key: str) -> dict[str, Any]:
        try:
            # A build during development is seen without a restart.
            changed_ns = self._manifest.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed_ns:
                self._read = changed_ns, json.loads(self._manifest.read_text("utf-8"))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"There is no {self._manifest}. {_REMEDY}") from error
        entry = self._read[1].get(key)
        if not isinstance(entry, dict):
            raise FileNotFoundError(f"{self._manifest} does not name {key}. {_REMEDY}")
        return entry


def _key(page: str) -> str:
    return f"src/{page}/main.ts"
