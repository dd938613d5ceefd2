"""glTF 2.0 binary: one textured mesh, its geometry compressed by Draco, its picture a JPEG."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import DracoPy
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A 14 bit step is 1.5 mm on a 25 m tile, and an eighth of a texel in a picture of 2048.
_QUANTIZATION_BITS = 14
# Points move by at most this share of the longest side of their box.
ROUNDING = 0.5**_QUANTIZATION_BITS
# Beyond 7 the files shrink by a tenth for twice the time.
_COMPRESSION_LEVEL = 7
_DRACO = "KHR_draco_mesh_compression"
_UNLIT = "KHR_materials_unlit"

_FLOAT, _UINT32 = 5126, 5125
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942


@dataclass(frozen=True)
class TexturedMesh:
    """Triangles with a picture.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        x east, y north, z up, metres.
    uv : ndarray, shape (n, 2)
        Place of each point in the picture: 0, 0 is its upper left corner, 1, 1 the lower right.
    faces : ndarray of int, shape (m, 3)
        Counter-clockwise seen from outside.
    jpeg : bytes
        The picture.
    """

    points: Array
    uv: Array
    faces: NDArray[np.int32]
    jpeg: bytes


def to_glb(mesh: TexturedMesh) -> bytes:
    """The mesh as a binary glTF file, y up, around the middle of its bounding box.

    Light and shadow are in the photos, so the material is unlit.

    References
    ----------
    .. [1] Khronos Group, "glTF 2.0 Specification", sections 3 and 4.
    .. [2] Khronos Group, "KHR_draco_mesh_compression".
    """
    centre = (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2.0
    # What a viewer turns back into z up: x, z, -y.
    points = _y_up(mesh.points - centre)
    geometry = DracoPy.encode(
        points,
        mesh.faces.astype(np.uint32),
        quantization_bits=_QUANTIZATION_BITS,
        compression_level=_COMPRESSION_LEVEL,
        tex_coord=np.ascontiguousarray(mesh.uv, dtype=np.float64),
        tex_coord_quantization_bits=_QUANTIZATION_BITS,
    )
    # The compression may split points where triangles meet in a point only.
    decoded = DracoPy.decode(geometry)
    binary = b"".join(_padded(part, b"\0") for part in (geometry, mesh.jpeg))
    document = _document(decoded, len(geometry), len(mesh.jpeg), _y_up(centre[None])[0])
    document["buffers"] = [{"byteLength": len(binary)}]
    return _container(document, binary)


def _y_up(points: Array) -> Array:
    return np.column_stack((points[:, 0], points[:, 2], -points[:, 1]))


def _document(decoded: Any, geometry_size: int, picture_size: int, centre: Array) -> dict[str, Any]:
    ids = {item["attribute_type"]: item["unique_id"] for item in decoded.attributes}
    points = np.asarray(decoded.points, dtype=np.float32)
    count = len(points)
    picture_at = geometry_size + -geometry_size % 4
    return {
        "asset": {"version": "2.0", "generator": "Cairn"},
        "extensionsUsed": [_DRACO, _UNLIT],
        "extensionsRequired": [_DRACO],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": centre.tolist()}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
                        "indices": 2,
                        "material": 0,
                        "extensions": {
                            _DRACO: {
                                "bufferView": 0,
                                "attributes": {"POSITION": ids[0], "TEXCOORD_0": ids[3]},
                            }
                        },
                    }
                ]
            }
        ],
        "accessors": [
            {
                "componentType": _FLOAT,
                "count": count,
                "type": "VEC3",
                "min": points.min(axis=0).tolist(),
                "max": points.max(axis=0).tolist(),
            },
            {"componentType": _FLOAT, "count": count, "type": "VEC2"},
            {"componentType": _UINT32, "count": int(np.size(decoded.faces)), "type": "SCALAR"},
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 1.0,
                },
                "extensions": {_UNLIT: {}},
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "images": [{"bufferView": 1, "mimeType": "image/jpeg"}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": geometry_size},
            {"buffer": 0, "byteOffset": picture_at, "byteLength": picture_size},
        ],
    }


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    text = _padded(json.dumps(document, separators=(",", ":")).encode(), b" ")
    size = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<III", _MAGIC, 2, size),
            struct.pack("<II", len(text), _JSON),
            text,
            struct.pack("<II", len(binary), _BIN),
            binary,
        )
    )


def read_glb(glb: bytes) -> TexturedMesh:
    """The inverse of `to_glb`, up to the rounding of its geometry."""
    text_size = struct.unpack_from("<I", glb, 12)[0]
    document = json.loads(glb[20 : 20 + text_size])
    binary = glb[28 + text_size :]
    geometry, jpeg = (
        binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        for view in document["bufferViews"]
    )
    decoded = DracoPy.decode(geometry)
    x, up, south = (decoded.points + np.array(document["nodes"][0]["translation"])).T
    return TexturedMesh(
        np.column_stack((x, -south, up)),
        np.asarray(decoded.tex_coord, dtype=np.float64),
        np.asarray(decoded.faces, dtype=np.int32).reshape(-1, 3),
        jpeg,
    )


def _padded(part: bytes, filler: bytes) -> bytes:
    """To a multiple of four bytes, as chunks and buffer views are aligned."""
    return part + filler * (-len(part) % 4)
