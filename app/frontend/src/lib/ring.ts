/** A ring of vertices with walls: what drawing does to it. Rings never change; each step is a new one. */

import type { Local } from "./frame";

/** Not closed by repetition; edge `i` runs from vertex `i` to the next one, and walls are edges. */
export interface Ring {
  readonly vertices: readonly Local[];
  readonly walls: readonly number[];
}

export const EMPTY: Ring = { vertices: [], walls: [] };

/** The ring with one more vertex at its end. */
export function append(ring: Ring, vertex: Local): Ring {
  return { ...ring, vertices: [...ring.vertices, vertex] };
}

/** The ring with a vertex elsewhere. */
export function move(ring: Ring, index: number, vertex: Local): Ring {
  return { ...ring, vertices: ring.vertices.map((old, i) => (i === index ? vertex : old)) };
}

/** The ring with a new vertex on an edge. Both halves of a wall are walls. */
export function insert(ring: Ring, edge: number, vertex: Local): Ring {
  const vertices = [...ring.vertices.slice(0, edge + 1), vertex, ...ring.vertices.slice(edge + 1)];
  const walls = ring.walls.flatMap((wall) =>
    wall < edge ? [wall] : wall === edge ? [edge, edge + 1] : [wall + 1],
  );
  return { vertices, walls };
}

/** The ring without a vertex. The edge that closes the gap is a wall if both edges there were. */
export function remove(ring: Ring, index: number): Ring {
  const count = ring.vertices.length;
  const before = (index + count - 1) % count;
  const isWall = ring.walls.includes(before) && ring.walls.includes(index);
  const renumber = (edge: number): number => (edge > index ? edge - 1 : edge);
  const walls = ring.walls.filter((edge) => edge !== before && edge !== index).map(renumber);
  if (isWall) walls.push(renumber(before));
  return { vertices: ring.vertices.filter((_, i) => i !== index), walls: walls.sort((a, b) => a - b) };
}

/** The ring with an edge made a wall, or no wall any more. */
export function toggleWall(ring: Ring, edge: number): Ring {
  const walls = ring.walls.includes(edge)
    ? ring.walls.filter((wall) => wall !== edge)
    : [...ring.walls, edge].sort((a, b) => a - b);
  return { ...ring, walls };
}

/** Plan area, negative when the ring runs clockwise. */
export function area_m2(vertices: readonly Local[]): number {
  let twice = 0;
  vertices.forEach(([x, y], i) => {
    const next = vertices[(i + 1) % vertices.length]!;
    twice += x * next[1] - next[0] * y;
  });
  return twice / 2;
}

/** Middle of the ring's vertices. */
export function middle(vertices: readonly Local[]): Local {
  const sum = vertices.reduce<Local>((s, v) => [s[0] + v[0], s[1] + v[1], s[2] + v[2]], [0, 0, 0]);
  const count = Math.max(1, vertices.length);
  return [sum[0] / count, sum[1] / count, sum[2] / count];
}

/** Two edges that cross in plan, or null. */
export function crossing(vertices: readonly Local[], isClosed = true): [number, number] | null {
  const count = vertices.length;
  const edges = isClosed ? count : count - 1;
  for (let i = 0; i < edges; i += 1) {
    for (let j = i + 2; j < edges; j += 1) {
      if (isClosed && i === 0 && j === count - 1) continue;
      const ends = [i, i + 1, j, j + 1].map((k) => vertices[k % count]!) as [Local, Local, Local, Local];
      if (segmentsCross(...ends)) return [i, j];
    }
  }
  return null;
}

function segmentsCross(a: Local, b: Local, c: Local, d: Local): boolean {
  const side = (p: Local, q: Local, r: Local): number =>
    (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

/** Length of a line, over its points. */
export function length_m(points: readonly Local[], inPlan = false): number {
  let sum = 0;
  for (let i = 1; i < points.length; i += 1) {
    const [a, b] = [points[i - 1]!, points[i]!];
    sum += Math.hypot(b[0] - a[0], b[1] - a[1], inPlan ? 0 : b[2] - a[2]);
  }
  return sum;
}
