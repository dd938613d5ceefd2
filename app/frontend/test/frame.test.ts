import { describe, expect, it } from "vitest";
import type { Bounds } from "../src/lib/api";
import { fromEcef, linearised, type Local, MapFrame, ModelFrame, toEcef } from "../src/lib/frame";
import { Projection } from "../src/lib/projection";
import frames from "./frames.json";

// A tenth of the finest cell. The string of EPSG:2056 lacks the whole shift of its datum, 160 m.
const LIMIT_M = 2e-3;

// `frames.json`: root transforms and positions by PROJ, through the library that writes the models.
describe.each(frames)("frame of a model in EPSG:$epsg", ({ crs_proj4, bounds, corners_lonlat, earth, origin_elevation_m, local, map }) => {
  const projection = new Projection({ crs_proj4, bounds: bounds as Bounds, corners_lonlat: corners_lonlat as [number, number][] });
  const frame = new ModelFrame(earth, projection, origin_elevation_m);

  it("leads to the map as PROJ does", () => {
    local.forEach((place, i) => {
      frame.toMap(place as Local).forEach((value, k) => expect(Math.abs(value - map[i]![k]!)).toBeLessThan(LIMIT_M));
    });
  });

  it("leads back", () => {
    local.forEach((place) => {
      frame.toLocal(frame.toMap(place as Local)).forEach((value, k) => expect(Math.abs(value - place[k]!)).toBeLessThan(1e-3));
    });
  });

  it("is nearly linear over a tile", () => {
    const at = frame.toMap([40, -30, 5]);
    const m = linearised(frame, at);
    const there = frame.toLocal([at[0] + 20, at[1] - 10, at[2] + 3]);
    const linear = [0, 1, 2].map((i) => m[i]! * 20 - m[4 + i]! * 10 + m[8 + i]! * 3 + m[12 + i]!);
    linear.forEach((value, i) => expect(Math.abs(value - there[i]!)).toBeLessThan(1e-3));
  });
});

describe("Earth-centred coordinates", () => {
  it("are those of the equator, the pole and back", () => {
    expect(toEcef([0, 0, 0])).toEqual([6378137, 0, 0]);
    expect(toEcef([0, 90, 0])[2]).toBeCloseTo(6356752.314245, 5);
    const [longitude, latitude, height] = fromEcef(toEcef([146.2, -33.87, 120]));
    expect(longitude).toBeCloseTo(146.2, 10);
    expect(latitude).toBeCloseTo(-33.87, 10);
    expect(height).toBeCloseTo(120, 6);
  });
});

describe("frame of a survey without a model", () => {
  it("is the map around its middle", () => {
    const frame = new MapFrame([100, 200, 300, 500], 50);
    expect(frame.toLocal([200, 350, 51])).toEqual([0, 0, 1]);
    expect(frame.toMap([0, 0, 1])).toEqual([200, 350, 51]);
  });
});
