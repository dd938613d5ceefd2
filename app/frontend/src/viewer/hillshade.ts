/** The surface without its picture: grey, with light from the north-west. */

import { Box3, BufferAttribute, BufferGeometry, Matrix4, Mesh, MeshBasicMaterial, type Vector3 } from "three";
import type { Grid, Position } from "../lib/api";
import { linearised } from "../lib/frame";
import type { Context } from "./grounds";
import { nearestHit, useTree } from "./surface";
import type { Surface } from "./surface";
import type { Scene } from "./scene";

const CELLS = 640;

export class Hillshade implements Surface {
  readonly mesh: Mesh;

  private constructor(
    private readonly scene: Scene,
    geometry: BufferGeometry,
    material: MeshBasicMaterial,
    toLocal: Matrix4,
  ) {
    this.mesh = new Mesh(geometry, material);
    this.mesh.applyMatrix4(toLocal);
    this.mesh.updateMatrixWorld();
    useTree(this.mesh);
    scene.graph.add(this.mesh);
  }

  static async load({ scene, shading, api, survey, frame }: Context): Promise<Hillshade> {
    const grid = await api.grid(survey.id, survey.bounds, CELLS, null);
    const known = grid.values.filter(Number.isFinite);
    if (!known.length) throw new Error("This survey's surface has no cells. Run it again.");
    const middle: Position = [
      (survey.bounds[0] + survey.bounds[2]) / 2,
      (survey.bounds[1] + survey.bounds[3]) / 2,
      known.reduce((sum, value) => sum + value, 0) / known.length,
    ];
    const material = new MeshBasicMaterial({ vertexColors: true });
    shading.apply(material);
    return new Hillshade(scene, gridGeometry(grid, middle), material, new Matrix4().fromArray(linearised(frame, middle)));
  }

  extent(): Box3 {
    return new Box3().setFromObject(this.mesh);
  }

  pick(x: number, y: number): Vector3 | null {
    return nearestHit(this.scene.rayAt(x, y), this.mesh);
  }

  heightAt(x: number, y: number): number | null {
    const origin = this.mesh.position.clone().set(x, y, 5000);
    return nearestHit({ origin, direction: origin.clone().set(0, 0, -1) }, this.mesh)?.z ?? null;
  }

  dispose(): void {
    this.scene.graph.remove(this.mesh);
    this.mesh.geometry.dispose();
    (this.mesh.material as MeshBasicMaterial).dispose();
  }
}

/** Two triangles for each four known cells, around a middle on the map. */
export function gridGeometry(grid: Grid, middle: Position): BufferGeometry {
  const { rows, cols, cell_size_m: cell, values } = grid;
  const places = new Float32Array(rows * cols * 3);
  const colours = new Float32Array(rows * cols * 3);
  const height = (row: number, col: number): number => values[row * cols + col] ?? NaN;
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols; col += 1) {
      const k = row * cols + col;
      places[3 * k] = grid.west_m + (col + 0.5) * cell - middle[0];
      places[3 * k + 1] = grid.north_m - (row + 0.5) * cell - middle[1];
      places[3 * k + 2] = height(row, col) - middle[2];
      colours.fill(shade(height, row, col, rows, cols, cell), 3 * k, 3 * k + 3);
    }
  }
  const faces: number[] = [];
  for (let row = 0; row + 1 < rows; row += 1) {
    for (let col = 0; col + 1 < cols; col += 1) {
      const [a, b, c, d] = [row * cols + col, row * cols + col + 1, (row + 1) * cols + col, (row + 1) * cols + col + 1];
      if ([a, b, c, d].every((k) => Number.isFinite(values[k]))) faces.push(a, c, b, b, c, d);
    }
  }
  // Holes belong to no triangle, but a box around the points must not become NaN.
  for (let k = 2; k < places.length; k += 3) if (!Number.isFinite(places[k])) places[k] = 0;
  return new BufferGeometry()
    .setAttribute("position", new BufferAttribute(places, 3))
    .setAttribute("color", new BufferAttribute(colours, 3))
    .setIndex(faces);
}

/** Lambert's law with a light 45° high in the north-west, in linear light. */
function shade(height: (row: number, col: number) => number, row: number, col: number, rows: number, cols: number, cell: number): number {
  const [left, right] = [Math.max(0, col - 1), Math.min(cols - 1, col + 1)];
  const [up, down] = [Math.max(0, row - 1), Math.min(rows - 1, row + 1)];
  const dx = (height(row, right) - height(row, left)) / ((right - left) * cell);
  const dy = (height(up, col) - height(down, col)) / ((down - up) * cell);
  if (!Number.isFinite(dx + dy)) return 0.4;
  const light = (0.5 * dx - 0.5 * dy + Math.SQRT1_2) / Math.hypot(dx, dy, 1);
  return 0.08 + 0.75 * Math.max(0, light);
}
