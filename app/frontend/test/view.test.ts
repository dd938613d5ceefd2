import { describe, expect, it } from "vitest";
import { gridGeometry } from "../src/viewer/hillshade";
import { limitOf } from "../src/viewer/looks";
import { pathOf, ticks } from "../src/viewer/profile_chart";

describe("a cross-section", () => {
  it("breaks at holes", () => {
    const profile = { distance_m: [0, 1, 2, 3], elevation_m: [1, 2, null, 4] };
    expect(pathOf(profile, (d) => d, (z) => z)).toBe("M0.0 1.0L1.0 2.0M3.0 4.0");
  });

  it("has round ticks within its ends", () => {
    expect(ticks(0, 10, 4)).toEqual([0, 5, 10]);
    expect(ticks(611.3, 615.2, 4)).toEqual([612, 613, 614, 615]);
  });
});

describe("a shaded surface", () => {
  it("has two triangles a cell, none at holes, and cells where the map has them", () => {
    const grid = { rows: 3, cols: 3, west_m: 100, north_m: 203, cell_size_m: 1, values: new Float32Array([1, 1, 1, 1, 1, 1, 1, 1, NaN]) };
    const geometry = gridGeometry(grid, [101.5, 201.5, 1]);
    expect(geometry.getIndex()?.count).toBe(3 * 2 * 3);
    geometry.computeBoundingBox();
    const { min, max } = geometry.boundingBox!;
    expect([min.toArray(), max.toArray()]).toEqual([[-1, -1, 0], [1, 1, 0]]);
  });
});

describe("colours of change", () => {
  it("are not washed out by a wild cell", () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => (i === 7 ? 500 : NaN));
    values.fill(0.5, 10, 900).fill(-1.2, 100, 200);
    expect(limitOf(values, 1)).toBe(1.2);
    expect(limitOf(new Float32Array([NaN]), 1)).toBe(1);
    expect(limitOf(values, 1 / 0.3048) / 0.3048).toBeCloseTo(3.9, 9);
  });
});
