import csv
import hashlib
import json
from dataclasses import replace

import ezdxf
import numpy as np
import pyproj
import pytest
from ezdxf.render import MeshBuilder

from volumetrics.__main__ import main
from volumetrics.design import read_design
from volumetrics.errors import BaseError, InputError
from volumetrics.grid import Grid
from volumetrics.noise import PERFECT
from volumetrics.surface_base import DesignBase
from volumetrics.toe import Toe, boundary, sample_ground

CRS = pyproj.CRS.from_epsg(32615)
WEST, NORTH = 500_000.0, 5_180_020.0
# A floor of 20 m x 20 m that falls by 2 % to the east and rises by 1 % to the north, its elevation
# 100 m in the middle: the ground of the pile.
FLOOR = [
    (WEST + x, NORTH - 20.0 + y, 100.0 + 0.02 * (x - 10.0) - 0.01 * (y - 10.0))
    for x, y in ((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0))
]
FACES = [(0, 1, 2), (0, 2, 3)]


def landxml(points=FLOOR, faces=FACES, unit="meter", more="", names=("floor",), invisible=()):
    rows = "".join(
        f'<P id="{k}">{north:.4f} {east:.4f} {up:.6f}</P>'
        for k, (east, north, up) in enumerate(points)
    )
    drawn = "".join(f"<F>{a} {b} {c}</F>" for a, b, c in faces)
    hidden = "".join(f'<F i="1">{a} {b} {c}</F>' for a, b, c in invisible)
    surfaces = "".join(
        f'<Surface name="{name}"><Definition surfType="TIN"><Pnts>{rows}</Pnts>'
        f"<Faces>{drawn}{hidden}</Faces></Definition></Surface>"
        for name in names
    )
    return (
        '<?xml version="1.0"?><LandXML xmlns="http://www.landxml.org/schema/LandXML-1.2" '
        f'version="1.2"><Units><Metric areaUnit="squareMeter" linearUnit="{unit}"/></Units>{more}'
        f"<Surfaces>{surfaces}</Surfaces></LandXML>"
    )


def dxf(path, kind="3DFACE", unit=ezdxf.units.M):
    document = ezdxf.new("R2010", units=unit)
    space = document.modelspace()
    if kind == "3DFACE":
        space.add_3dface(FLOOR)
    elif kind == "in a block":
        block = document.blocks.new("FLOOR")
        for a, b, c in FACES:
            block.add_3dface([np.subtract(FLOOR[k], (WEST, NORTH, 0.0)) for k in (a, b, c)])
        space.add_blockref("FLOOR", (WEST, NORTH, 0.0))
    elif kind in ("MESH", "POLYLINE"):
        mesh = MeshBuilder()
        mesh.vertices.extend(map(ezdxf.math.Vec3, FLOOR))
        mesh.faces.extend(FACES)
        (mesh.render_mesh if kind == "MESH" else mesh.render_polyface)(space)
    elif kind == "lines":
        space.add_polyline3d(FLOOR, close=True)
    document.saveas(path)
    return path


@pytest.fixture
def net_m3(write_dsm, write_piles, toe_ring, tmp_path):
    """Measure the pile at the command line above a design; returns its net volume."""

    def run(path):
        piles = write_piles([({"name": "Sand"}, {"type": "Polygon", "coordinates": [toe_ring]})])
        command = [str(write_dsm()), str(piles), "--out", str(tmp_path), "--noise", "0.01:1"]
        assert main([*command, "--base", "design", "--base-surface", str(path)]) == 0
        with (tmp_path / "volumes.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert row["base"] == "design"
        about = json.loads((tmp_path / "volumes.json").read_text())
        assert about["base_surface_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        return float(row["net_m3"])

    return run


def write(tmp_path, text):
    path = tmp_path / "design.xml"
    path.write_text(text, encoding="utf-8")
    return path


# The pile's crest and foot are rounded by cells of 0.25 m.
CLOSE = 5e-3


def test_a_pile_above_landxml(net_m3, pile, tmp_path):
    more = '<CoordinateSystem epsgCode="32615"/>'
    path = write(tmp_path, landxml(more=more, invisible=[(1, 2, 3)]))
    assert net_m3(path) == pytest.approx(pile.volume_m3, rel=CLOSE)


@pytest.mark.parametrize("kind", ["3DFACE", "in a block", "MESH", "POLYLINE"])
def test_a_pile_above_dxf(net_m3, pile, tmp_path, kind):
    assert net_m3(dxf(tmp_path / "design.DXF", kind)) == pytest.approx(pile.volume_m3, rel=CLOSE)


def test_a_pit_has_its_closed_form(tmp_path):
    """Water level above an inverted pyramid of 10 m x 10 m x 3 m: a third of the box."""
    corners = [(0.0, 0.0, 5.0), (10.0, 0.0, 5.0), (10.0, 10.0, 5.0), (0.0, 10.0, 5.0)]
    faces = [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
    path = write(tmp_path, landxml([*corners, (5.0, 5.0, 2.0)], faces))
    grid = Grid(np.full((100, 100), 5.0), 0.0, 10.0, 0.1)
    depth = grid.elevation_m - read_design(path, CRS).elevation_m(grid)
    # Facets are plane, so cell centres are exact but on the ridges: 4 of 7 m, a bend of 1.2,
    # and at most an eighth of the cell squared along each.
    bound = 4.0 * 7.1 * 1.2 * 0.1**2 / 8.0
    assert depth.sum() * 0.01 == pytest.approx(100.0, abs=bound)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (landxml(unit="USSurveyFoot"), "'USSurveyFoot', not in 'meter'"),
        (landxml(more='<CoordinateSystem epsgCode="32616"/>'), "EPSG:32616"),
        (landxml(names=("existing", "final")), "holds: existing, final"),
        (landxml(names=()), "holds: none"),
        (landxml(faces=[]), "no triangles"),
        (landxml(faces=[(0, 1, 1)]), "no triangles"),
        (landxml(faces=[(0, 1, 9)]), "broken: '9'"),
        (landxml(points=[(0, 0, float("nan"))] * 4), "not a finite number"),
        (landxml().replace("</P>", " x</P>"), "broken"),
        (landxml()[:300], "no LandXML that can be read"),
        ("", "no LandXML that can be read"),
    ],
)
def test_landxml_that_cannot_be_used(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_design(write(tmp_path, text), CRS)


def test_dxf_that_cannot_be_used(tmp_path):
    for kind, unit, said in (
        ("3DFACE", ezdxf.units.FT, "not in metres"),
        ("lines", ezdxf.units.M, "no triangles"),
    ):
        with pytest.raises(InputError, match=said):
            read_design(dxf(tmp_path / "design.dxf", kind, unit), CRS)
    for content in (b"", b"\x00\x01\x02" * 50, (tmp_path / "design.dxf").read_bytes()[:3000]):
        (tmp_path / "broken.dxf").write_bytes(content)
        with pytest.raises(InputError, match=r"no DXF that can be read|no triangles"):
            read_design(tmp_path / "broken.dxf", CRS)
    with pytest.raises(InputError, match="no DXF that can be read"):
        read_design(tmp_path / "nothing.dxf", CRS)


def test_two_surfaces_over_each_other_are_refused(tmp_path, pile):
    above = [(x, y, z + 0.5) for x, y, z in FLOOR]
    both = landxml([*FLOOR, *above], [*FACES, (4, 5, 6), (4, 6, 7)])
    tin = read_design(write(tmp_path, both), CRS)
    grid = replace(pile, centre_m=(10.0, -10.0)).grid(20.0, 0.25)
    grid = replace(grid, west_m=WEST, north_m=NORTH)
    toe = Toe("pile", pile.toe().polygon)
    samples = sample_ground(toe, boundary(toe, 0.25), grid)
    with pytest.raises(BaseError, match=r"over each other, up to 0\.50 m apart"):
        DesignBase(tin).fit(grid, samples, PERFECT)


def test_a_design_that_does_not_reach_below_the_pile_is_refused(
    write_dsm, write_piles, toe_ring, tmp_path, capsys
):
    piles = write_piles([({"name": "Sand"}, {"type": "Polygon", "coordinates": [toe_ring]})])
    design = write(tmp_path, landxml(faces=FACES[:1]))
    command = [str(write_dsm()), str(piles), "--base", "design", "--base-surface", str(design)]
    assert main(command) == 1
    assert "the base 'design' has holes under" in capsys.readouterr().err
