import { describe, expect, it } from "vitest";
import { decimalsFor, number, volume } from "../src/lib/format";

describe("numbers", () => {
  it("have the decimals that their uncertainty makes sense of", () => {
    expect([0.21, 0.996, 1.6, 34, 510, 0, NaN].map(decimalsFor)).toEqual([2, 1, 1, 0, 0, 1, 1]);
  });

  it("are never minus nothing", () => {
    expect(number(-0.004, 2)).toBe(number(0, 2));
  });

  it("come in the units of the site", () => {
    expect(volume(764.554857984, 1.6820206875648, { volume_unit: "yd3", mass_unit: "t" })).toMatch(/^1[.,\s]?000[.,]0 ± 2[.,]2 yd³$/);
    expect(volume(5.25, 0.5, { volume_unit: "m3", mass_unit: "t" })).toMatch(/^5[.,]25 ± 0[.,]50 m³$/);
  });
});
