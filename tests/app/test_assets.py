"""Addresses of the built front end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.assets import Assets

MANIFEST = {
    "src/map/main.ts": {
        "file": "assets/map-1.js",
        "css": ["assets/map-1.css"],
        "imports": ["_lib.js"],
    },
    "_lib.js": {
        "file": "assets/lib-2.js",
        "css": ["assets/lib-2.css"],
        "imports": ["src/map/main.ts"],
    },
    "src/bare/main.ts": {"file": "assets/bare-3.js"},
}


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST), "utf-8")
    return Assets(tmp_path, "/static/dist/")


def test_names_script_and_styles(assets: Assets) -> None:
    assert assets.script("map") == "/static/dist/assets/map-1.js"
    assert assets.styles("map") == [
        "/static/dist/assets/lib-2.css",
        "/static/dist/assets/map-1.css",
    ]
    assert assets.styles("bare") == []


def test_sees_a_new_build(assets: Assets, tmp_path: Path) -> None:
    assert assets.script("bare").endswith("bare-3.js")
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"src/bare/main.ts": {"file": "assets/bare-4.js"}}), "utf-8")
    later_ns = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later_ns, later_ns))
    assert assets.script("bare").endswith("bare-4.js")


def test_says_how_to_build(assets: Assets, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="npm run build"):
        assets.script("unknown")
    with pytest.raises(FileNotFoundError, match="npm run build"):
        Assets(tmp_path / "nowhere", "/static/dist/").styles("map")
