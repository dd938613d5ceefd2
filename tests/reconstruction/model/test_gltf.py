"""glTF files: what is written is read back, and the Khronos validator has no complaint."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from reconstruction.gltf import ROUNDING, TexturedMesh, read_glb, to_glb

FRONTEND = Path(__file__).parents[3] / "app" / "frontend"
VALIDATE = """
const validator = require('gltf-validator');
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[1]));
validator.validateBytes(bytes).then(r => console.log(JSON.stringify(r.issues)));
"""


@pytest.fixture
def mesh():
    """A bumpy square with a picture, 300 m from the origin."""
    rows, cols = np.mgrid[:20, :20]
    heights = np.random.default_rng(5).normal(size=400)
    points = np.column_stack((cols.ravel() + 300.0, rows.ravel() - 40.0, heights))
    first = (20 * rows + cols)[:-1, :-1].ravel()
    faces = np.vstack(
        (
            np.column_stack((first, first + 1, first + 20)),
            np.column_stack((first + 1, first + 21, first + 20)),
        )
    )
    picture = np.random.default_rng(6).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    uv = np.column_stack((cols.ravel(), rows.ravel())) / 19.0
    return TexturedMesh(points, uv, faces.astype(np.int32), jpeg)


def test_geometry_and_picture_survive(mesh):
    found = read_glb(to_glb(mesh))
    assert found.jpeg == mesh.jpeg
    assert found.faces.shape == mesh.faces.shape
    # The compression reorders: compare by the nearest point.
    distance = np.linalg.norm(found.points[:, None] - mesh.points[None], axis=2)
    nearest = distance.argmin(axis=1)
    assert sorted(nearest) == list(range(400))
    assert distance.min(axis=1).max() <= 20.0 * ROUNDING
    assert found.uv == pytest.approx(mesh.uv[nearest], abs=1e-4)
    same = {tuple(sorted(face)) for face in nearest[found.faces]}
    assert same == {tuple(sorted(face)) for face in mesh.faces}


def test_winding_survives(mesh):
    found = read_glb(to_glb(mesh))
    a, b, c = (found.points[found.faces[:, corner]] for corner in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0.0).all()


def test_the_container_is_aligned_and_names_its_extensions(mesh):
    glb = to_glb(mesh)
    magic, version, size = struct.unpack_from("<4sII", glb)
    assert (magic, version, size) == (b"glTF", 2, len(glb))
    text_size = struct.unpack_from("<I", glb, 12)[0]
    assert text_size % 4 == 0
    document = json.loads(glb[20 : 20 + text_size])
    assert document["extensionsRequired"] == ["KHR_draco_mesh_compression"]
    assert document["nodes"][0]["translation"] == pytest.approx([309.5, 0.0, 30.5], abs=3.5)


def test_the_khronos_validator_finds_nothing(mesh, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (FRONTEND / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("the npm package gltf-validator is not installed (npm ci in app/frontend)")
    path = tmp_path / "tile.glb"
    path.write_bytes(to_glb(mesh))
    done = subprocess.run(
        [node, "-e", VALIDATE, str(path)], cwd=FRONTEND, capture_output=True, text=True, check=True
    )
    issues = json.loads(done.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
