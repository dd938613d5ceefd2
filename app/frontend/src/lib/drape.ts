/** Lines laid on a surface. */

import type { Local } from "./frame";

/** Height of the surface at a place in plan, or null in a hole. */
export type HeightAt = (x: number, y: number) => number | null;

/**
 * A line through its vertices that follows the surface between them.
 *
 * Between vertices it takes the surface's height; where there is none, or where it is further from
 * the straight line than a step of the ground could be (the line passes under a conveyor or over the
 * edge of a wall), it keeps the straight line.
 */
export function drape(
  vertices: readonly Local[],
  heightAt: HeightAt,
  isClosed: boolean,
  step_m: number,
  lift_m: number,
): Local[] {
  const count = vertices.length;
  if (count < 2) return vertices.map(([x, y, z]) => [x, y, z + lift_m]);
  const line: Local[] = [];
  for (let i = 0; i < (isClosed ? count : count - 1); i += 1) {
    line.push(...drapeEdge(vertices[i]!, vertices[(i + 1) % count]!, heightAt, step_m, lift_m));
  }
  const [x, y, z] = vertices[isClosed ? 0 : count - 1]!;
  line.push([x, y, z + lift_m]);
  return line;
}

/** Points of an edge with its first vertex and without its last one. */
export function drapeEdge(a: Local, b: Local, heightAt: HeightAt, step_m: number, lift_m: number): Local[] {
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const pieces = Math.min(64, Math.max(1, Math.ceil(length / step_m)));
  const limit_m = Math.max(1, length / 2);
  return Array.from({ length: pieces }, (_, k): Local => {
    const t = k / pieces;
    const [x, y] = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
    const straight = a[2] + t * (b[2] - a[2]);
    const surface = k === 0 ? null : heightAt(x, y);
    const z = surface !== null && Math.abs(surface - straight) <= limit_m ? surface : straight;
    return [x, y, z + lift_m];
  });
}
