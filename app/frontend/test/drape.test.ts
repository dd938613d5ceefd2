import { describe, expect, it } from "vitest";
import { drape, drapeEdge } from "../src/lib/drape";

const hill = (x: number): number => 10 - 0.1 * (x - 5) ** 2;

describe("a draped line", () => {
  it("follows the surface between its vertices", () => {
    const line = drape([[0, 0, hill(0)], [10, 0, hill(10)]], hill, false, 0.5, 0);
    expect(line).toHaveLength(21);
    line.forEach(([x, y, z]) => {
      expect(y).toBe(0);
      expect(z).toBeCloseTo(hill(x), 12);
    });
  });

  it("keeps its vertices, lifted, and closes", () => {
    const ring = drape([[0, 0, 1], [1, 0, 2], [0, 1, 3]], () => null, true, 5, 0.25);
    expect(ring).toEqual([[0, 0, 1.25], [1, 0, 2.25], [0, 1, 3.25], [0, 0, 1.25]]);
  });

  it("stays straight over holes and does not climb what stands over it", () => {
    const over = drapeEdge([0, 0, 0], [4, 0, 4], (x) => (x === 1 ? null : 50), 1, 0);
    expect(over.map(([, , z]) => z)).toEqual([0, 1, 2, 3]);
  });

  it("has a bounded number of points", () => {
    expect(drapeEdge([0, 0, 0], [5000, 0, 0], () => 0, 0.1, 0)).toHaveLength(64);
  });

  it("leaves a single vertex alone", () => {
    expect(drape([[1, 2, 3]], hill, false, 1, 1)).toEqual([[1, 2, 4]]);
  });
});
