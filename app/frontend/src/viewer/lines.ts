/** Lines and vertices on the surface that are never lost in it. */

import { BufferGeometry, Color, Group, type Material, Points, PointsMaterial, Vector2, Float32BufferAttribute, CanvasTexture } from "three";
import { Line2 } from "three/addons/lines/Line2.js";
import { LineGeometry } from "three/addons/lines/LineGeometry.js";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import type { Local } from "../lib/frame";
import type { Scene } from "./scene";

const HIDDEN_OPACITY = 0.3;
const DASH_M = 0.9;

/**
 * A line in two passes: bright where it is in front, with an offset in depth so that it does not
 * flicker in the surface it lies on, and faint where the surface hides it.
 */
export class SurfaceLine {
  readonly group = new Group();
  private readonly materials: LineMaterial[];
  private lines: Line2[] = [];

  constructor(
    private readonly scene: Scene,
    colour: string,
    width_px: number,
    private readonly isDashed = false,
  ) {
    const dashes = { dashed: isDashed, dashSize: DASH_M, gapSize: 0.7 * DASH_M };
    const front = new LineMaterial({ ...dashes, linewidth: width_px, polygonOffset: true, polygonOffsetFactor: -8, polygonOffsetUnits: -16 });
    const behind = new LineMaterial({ ...dashes, linewidth: width_px, transparent: true, opacity: HIDDEN_OPACITY, depthTest: false, depthWrite: false });
    const casing = new LineMaterial({ ...dashes, linewidth: width_px + 2.5, transparent: true, opacity: 0.55, color: 0x101314, polygonOffset: true, polygonOffsetFactor: -7, polygonOffsetUnits: -12, depthWrite: false });
    this.materials = [casing, behind, front];
    this.paint(colour);
    scene.graph.add(this.group);
  }

  paint(colour: string): void {
    for (const material of this.materials.slice(1)) material.color = new Color(colour);
    this.scene.invalidate();
  }

  /** Show a line; too few points show none. */
  draw(points: readonly Local[]): void {
    this.clear();
    if (points.length > 1) {
      const geometry = new LineGeometry();
      geometry.setPositions(points.flat());
      this.lines = this.materials.map((material, i) => {
        const line = new Line2(geometry, material);
        line.renderOrder = 10 + i;
        line.frustumCulled = false;
        if (this.isDashed) line.computeLineDistances();
        return line;
      });
      this.group.add(...this.lines);
    }
    this.scene.invalidate();
  }

  dispose(): void {
    this.clear();
    this.scene.graph.remove(this.group);
    this.materials.forEach((material: Material) => material.dispose());
  }

  private clear(): void {
    this.lines[0]?.geometry.dispose();
    this.group.remove(...this.lines);
    this.lines = [];
  }
}

/** Vertices as discs of constant size on the screen. */
export class Handles {
  private readonly material = new PointsMaterial({
    size: 15, sizeAttenuation: false, vertexColors: true, map: disc(), transparent: true, alphaTest: 0.1, depthTest: false,
  });
  private readonly points = new Points(new BufferGeometry(), this.material);
  private places: readonly Local[] = [];

  constructor(private readonly scene: Scene) {
    this.points.renderOrder = 20;
    this.points.frustumCulled = false;
    this.points.raycast = () => undefined;
    this.material.size = 15 * scene.renderer.getPixelRatio();
    scene.graph.add(this.points);
  }

  draw(places: readonly Local[], colourOf: (index: number) => string): void {
    this.places = places;
    const colours = places.flatMap((_, i) => new Color(colourOf(i)).toArray());
    this.points.geometry.dispose();
    this.points.geometry = new BufferGeometry()
      .setAttribute("position", new Float32BufferAttribute(places.flat(), 3))
      .setAttribute("color", new Float32BufferAttribute(colours, 3));
    this.points.visible = places.length > 0;
    this.scene.invalidate();
  }

  /** The handle nearest to a pixel, within a reach in pixels. */
  at(x: number, y: number, reach_px: number): number | null {
    const pixel = new Vector2();
    let best: number | null = null;
    let nearest = reach_px;
    this.places.forEach((place, i) => {
      const found = this.scene.toScreen(this.points.position.clone().set(...place), pixel);
      const distance = found ? Math.hypot(found.x - x, found.y - y) : Infinity;
      if (distance <= nearest) [best, nearest] = [i, distance];
    });
    return best;
  }

  dispose(): void {
    this.scene.graph.remove(this.points);
    this.points.geometry.dispose();
    this.material.map?.dispose();
    this.material.dispose();
  }
}

function disc(): CanvasTexture {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d")!;
  const ring = (radius: number, colour: string): void => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(32, 32, radius, 0, 2 * Math.PI);
    pen.fill();
  };
  ring(31, "#101314");
  ring(26, "#ffffff");
  return new CanvasTexture(canvas);
}
