"""Layout of a mesh in a picture: sides, sizes, and no texel for two faces."""

import numpy as np
import pytest

from reconstruction.charts import PAD_TEXELS, lay_out
from reconstruction.mesh import triangulate

TEXEL_M = 0.05
STEP_M = 0.1


@pytest.fixture(scope="module")
def block():
    """A block of 4 m height on a plane: points, faces, and each face's normal."""
    heights = np.zeros((129, 129), np.float32)
    heights[40:90, 30:95] = 4.0
    mesh = triangulate(heights, STEP_M, 0.02)
    rows, cols = mesh.nodes.T
    points = np.column_stack((cols * STEP_M, -rows * STEP_M, heights[rows, cols])).astype(float)
    faces = mesh.faces.astype(np.int64)
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    return points, faces, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def test_steep_faces_lie_in_upright_charts_at_full_size(block):
    points, faces, normal = block
    atlas = lay_out(points, faces, TEXEL_M, 4096)
    assert np.array_equal(atlas.point_index[atlas.faces], faces)
    upright = normal[:, 2] < 0.1
    east, north = (normal[upright, :2] / np.hypot(*normal[upright, :2].T)[:, None]).T
    facing = np.select([east > 0.8, north > 0.8, east < -0.8], [0, 1, 2], 3)
    clear = np.maximum(np.abs(east), np.abs(north)) > 0.99
    assert np.array_equal(atlas.side[upright][clear], facing[clear])
    assert (atlas.side[normal[:, 2] > 0.9] == -1).all()
    height_m = np.ptp(points[faces][:, :, 2], axis=1)
    shown = np.ptp(atlas.texels[atlas.faces][:, :, 1], axis=1) * TEXEL_M
    assert shown[upright] == pytest.approx(height_m[upright])


def test_a_plane_is_one_chart_with_north_up():
    points = np.array([[0.0, 0, 0], [10, 0, 1], [10, 6, 1], [0, 6, 0]])
    atlas = lay_out(points, np.array([[0, 1, 2], [0, 2, 3]]), TEXEL_M, 4096)
    assert len(atlas.point_index) == 4
    x, y = atlas.texels[np.argsort(atlas.point_index)].T - PAD_TEXELS
    assert x == pytest.approx([0, 200, 200, 0])
    assert y == pytest.approx([120, 120, 0, 0])
    assert (atlas.width, atlas.height) == (208, 128)


def test_no_texel_belongs_to_two_faces(block):
    points, faces, _ = block
    atlas = lay_out(points, faces, TEXEL_M, 4096)
    owners = np.zeros((atlas.height, atlas.width), int)
    for face in atlas.texels[atlas.faces]:
        low, high = np.floor(face.min(axis=0)).astype(int), np.ceil(face.max(axis=0)).astype(int)
        x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        system = np.vstack((face.T, np.ones(3)))
        if abs(np.linalg.det(system)) < 1e-6:
            continue
        middles = np.stack((x.ravel() + 0.5, y.ravel() + 0.5, np.ones(x.size)))
        # Strictly inside: a middle on a shared side belongs to both.
        inside = (np.linalg.solve(system, middles) > 1e-6).all(axis=0)
        owners[y.ravel()[inside], x.ravel()[inside]] += 1
    assert owners.max() == 1
    assert atlas.texels.min() >= PAD_TEXELS
    assert (atlas.texels <= np.array([atlas.width, atlas.height]) - PAD_TEXELS).all()


def test_upright_charts_give_way_where_the_picture_has_a_limit(block):
    points, faces, _ = block
    full = lay_out(points, faces, TEXEL_M, 4096)
    limited = lay_out(points, faces, TEXEL_M, 320)
    assert limited.height <= 320 < full.height
    ground = np.repeat(full.side < 0, 3)
    assert np.ptp(limited.texels[limited.faces.ravel()[ground]], axis=0) == pytest.approx(
        np.ptp(full.texels[full.faces.ravel()[ground]], axis=0)
    )
