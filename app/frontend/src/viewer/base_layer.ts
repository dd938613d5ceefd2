/** The base under a pile, shown, and the heights above it. */

import { BufferGeometry, DoubleSide, Float32BufferAttribute, Mesh, MeshBasicMaterial, ShapeUtils, Vector2 } from "three";
import type { BasePlane } from "../lib/api";
import type { Frame, Local } from "../lib/frame";
import { middle } from "../lib/ring";
import type { Scene } from "./scene";
import type { Plane } from "./shading";

/** A plane on the map as a plane in the local frame, exact near its reference point. */
export function localPlane(plane: BasePlane, frame: Frame): Plane {
  const at = (de: number, dn: number): Local =>
    frame.toLocal([plane.e0 + de, plane.n0 + dn, plane.z0 + plane.dz_de * de + plane.dz_dn * dn]);
  const [o, e, n] = [at(0, 0), at(20, 0), at(0, 20)];
  const [a, b] = [minus(e, o), minus(n, o)];
  const det = a[0] * b[1] - a[1] * b[0];
  const dx = (a[2] * b[1] - a[1] * b[2]) / det;
  const dy = (a[0] * b[2] - a[2] * b[0]) / det;
  return { c: o[2] - dx * o[0] - dy * o[1], dx, dy };
}

/** The surface of a base over a ring: its plane, or the ground that the vertices stand on. */
export class BaseLayer {
  private readonly material = new MeshBasicMaterial({
    color: 0x2fd3b5, transparent: true, opacity: 0.35, side: DoubleSide, depthWrite: false, depthTest: false,
  });
  private readonly mesh = new Mesh(new BufferGeometry(), this.material);

  constructor(private readonly scene: Scene) {
    this.mesh.renderOrder = 5;
    this.mesh.visible = false;
    this.mesh.raycast = () => undefined;
    scene.graph.add(this.mesh);
  }

  show(ring: readonly Local[], plane: Plane | null): void {
    const centre = middle(ring);
    const places = ring.map(([x, y, z]): Local => [x, y, plane ? plane.c + plane.dx * x + plane.dy * y : z]);
    const outline = places.map(([x, y]) => new Vector2(x - centre[0], y - centre[1]));
    this.mesh.geometry.dispose();
    this.mesh.geometry = new BufferGeometry().setAttribute("position", new Float32BufferAttribute(places.flat(), 3));
    this.mesh.geometry.setIndex(ShapeUtils.triangulateShape(outline, []).flat());
    this.mesh.visible = true;
    this.scene.invalidate();
  }

  hide(): void {
    this.mesh.visible = false;
    this.scene.invalidate();
  }

  dispose(): void {
    this.scene.graph.remove(this.mesh);
    this.mesh.geometry.dispose();
    this.material.dispose();
  }
}

const minus = (a: Local, b: Local): Local => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
