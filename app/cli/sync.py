"""``cairn sync``: what a box in the field holds reaches the main installation, once.

Photos and toes travel; numbers do not: the main installation reconstructs the same photos at its
quality and measures the same toes on that surface. Both numbers are shown side by side.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app import photo_file
from app.cli.connection import Connection, NotNowError, RefusedError
from app.cli.upload import Say, deliver, find_site, speaker


def run(connection: Connection, chosen: argparse.Namespace) -> int:
    """Bring surveys and piles; returns the exit code.

    Raises
    ------
    RefusedError
        When something cannot be brought; everything else was.
    NotNowError
        When surveys are still processed: piles follow with the next run.
    """
    say = speaker(chosen)
    try:
        token = chosen.from_token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{chosen.from_token_file} cannot be read: {error}") from error
    with Connection(chosen.source.rstrip("/"), token, chosen.patience) as box:
        sync = _Sync(box, connection, chosen.quality, say)
        sync.sites(
            find_site(box, chosen.site), find_site(connection, chosen.to_site or chosen.site)
        )
    if sync.refused:
        raise RefusedError("\n".join(sync.refused))
    if sync.waiting:
        raise NotNowError(f"{sync.waiting} surveys are being processed; run the same again later.")
    say("Everything is there.")
    return 0


class _Sync:
    def __init__(self, box: Connection, main: Connection, quality: str, say: Say) -> None:
        self._box, self._main, self._quality, self._say = box, main, quality, say
        self.refused: list[str] = []
        self.waiting = 0
        # Surveys of the box and what they are here.
        self._pairs: dict[str, str] = {}

    def sites(self, source: dict[str, Any], target: dict[str, Any]) -> None:
        """Bring everything of a site."""
        surveys = list(self._box.items(f"/api/v1/sites/{source['id']}/surveys"))
        ready = [s for s in surveys if s["state"] == "ready" and s["kind"] == "photos"]
        materials = self._materials(source, target)
        for survey in sorted(ready, key=lambda survey: survey["flown_on"]):
            try:
                self._survey(survey, target, materials)
            except RefusedError as error:
                self.refused.append(f"{survey['name']}: {error}")

    def _survey(
        self, survey: dict[str, Any], target: dict[str, Any], materials: dict[str, str]
    ) -> None:
        photos = list(self._box.items(f"/api/v1/surveys/{survey['id']}/photos"))
        by_digest = {photo["sha256"]: photo["name"] for photo in photos}
        files = [_document(photo, survey["flown_on"]) for photo in photos]
        manifest = {
            "files": files,
            "name": survey["name"],
            "flown_on": survey["flown_on"],
            "quality": self._quality,
        }

        @contextmanager
        def content(sha256: str) -> Iterator[Path]:
            name = by_digest[sha256]
            with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
                path = Path(folder) / name
                self._box.download(f"/api/v1/surveys/{survey['id']}/photos/{quote(name)}", path)
                if photo_file.document(path, name)["sha256"] != sha256:
                    raise RefusedError(f"{name} is damaged on the box.")
                yield path

        told = deliver(self._main, target, manifest, content, self._say)
        here = self._main.json("GET", f"/api/v1/surveys/{told['survey_id']}")
        self._pairs[survey["id"]] = here["id"]
        if here["state"] == "processing":
            self.waiting += 1
            self._say(f"{survey['name']}: {len(files)} files are there and being processed")
        elif here["state"] == "ready":
            there = self._box.json("GET", f"/api/v1/surveys/{survey['id']}")
            self._toes(there, here, materials)
        else:
            raise RefusedError(f"its processing here is {here['state']}; look at its page.")

    def _toes(self, there: dict[str, Any], here: dict[str, Any], materials: dict[str, str]) -> None:
        if (there["epsg"], there["vertical_datum"]) != (here["epsg"], here["vertical_datum"]):
            raise RefusedError(
                f"the box has EPSG:{there['epsg']}, {there['vertical_datum']}; here it is "
                f"EPSG:{here['epsg']}, {here['vertical_datum']}. Draw its piles here."
            )
        address = f"/api/v1/surveys/{here['id']}/toes"
        known = {toe["name"]: toe for toe in self._main.json("GET", address)}
        for toe in self._box.json("GET", f"/api/v1/surveys/{there['id']}/toes"):
            same = known.get(toe["name"])
            # What somebody drew or confirmed here counts more, or it was brought before.
            if not toe["is_confirmed"] or (same is not None and same["is_confirmed"]):
                continue
            draft = {
                "name": toe["name"],
                "toe": toe["toe"],
                "base": self._base(toe),
                "material_id": materials.get(toe["material_id"] or ""),
            }
            if same is None:
                saved = self._main.json("POST", address, draft)
            else:
                saved = self._main.json("PUT", f"/api/v1/toes/{same['id']}", draft)
            self._say(f"{toe['name']}: {_volume(toe)} on the box, {_volume(saved)} here")

    def _base(self, toe: dict[str, Any]) -> dict[str, Any]:
        base = {name: value for name, value in toe["base"].items() if value is not None}
        if "survey_id" in base:
            if base["survey_id"] not in self._pairs:
                raise RefusedError(f"the base of {toe['name']} is a survey that is not here yet.")
            base["survey_id"] = self._pairs[base["survey_id"]]
        return base

    def _materials(self, source: dict[str, Any], target: dict[str, Any]) -> dict[str, str]:
        """Materials of the box as what they are here, by their names."""
        here, there = (
            connection.json("GET", f"/api/v1/sites/{site['id']}/materials")
            for connection, site in ((self._main, target), (self._box, source))
        )
        ids = {material["name"]: material["id"] for material in here}
        return {m["id"]: ids[m["name"]] for m in there if m["name"] in ids}


def _document(photo: dict[str, Any], flown_on: str) -> dict[str, Any]:
    return {name: photo[name] for name in ("name", "size", "sha256")} | {"captured_on": flown_on}


def _volume(toe: dict[str, Any]) -> str:
    measured = toe["volume"]
    if measured is None:
        return "nothing"
    return f"{measured['net_m3']:,.0f} m³ ± {measured['net_u95_m3']:,.0f} m³"
