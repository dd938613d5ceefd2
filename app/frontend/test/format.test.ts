import { describe, expect, it } from "vitest";
import { area, decimalsFor, height, length, mass, number, small, volume } from "../src/lib/format";
import { AMERICAN, METRIC } from "./units";

describe("numbers", () => {
  it("have the decimals that their uncertainty makes sense of", () => {
    expect([0.21, 0.996, 1.6, 34, 510, 0, NaN].map(decimalsFor)).toEqual([2, 1, 1, 0, 0, 1, 1]);
  });

  it("are never minus nothing", () => {
    expect(number(-0.004, 2)).toBe(number(0, 2));
  });

  it("come in the units of the site", () => {
    expect(volume(764.554857984, 1.6820206875648, AMERICAN)).toMatch(/^1[.,\s]?000[.,]0 ± 2[.,]2 yd³$/);
    expect(volume(5.25, 0.5, METRIC)).toMatch(/^5[.,]25 ± 0[.,]50 m³$/);
    expect(height(3.048, 0.03048, AMERICAN)).toMatch(/^10[.,]00 ± 0[.,]10 ft$/);
    expect(area(92.90304, 1.11483648, AMERICAN)).toMatch(/^1[.,\s]?000 ± 12 ft²$/);
    expect(mass(90.718474, 0.90718474, AMERICAN)).toMatch(/^100[.,]0 ± 1[.,]0 short tons$/);
    expect([length(0.3048, AMERICAN), length(0.3048, METRIC)].join()).toMatch(/^1[.,]00 ft,0[.,]30 m$/);
    expect([small(0.0254, AMERICAN, 1), small(0.0254, METRIC, 1)].join()).toMatch(/^1[.,]0 in,2[.,]5 cm$/);
  });
});
