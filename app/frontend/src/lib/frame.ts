/**
 * From map coordinates to the metric frame that is drawn, and back.
 *
 * A graphics card computes in float32, so nothing of the size of a northing reaches it: the scene
 * is a local frame in metres. Everything here is float64.
 */

import type { Bounds, Position } from "./api";
import type { Projection } from "./projection";

/** x to grid east, y to grid north, z up. */
export type Local = [x: number, y: number, z: number];

export interface Frame {
  toLocal(map: Position): Local;
  toMap(local: Local): Position;
}

const SEMI_MAJOR_M = 6378137;
const FLATTENING = 1 / 298.257223563;
const E2 = FLATTENING * (2 - FLATTENING);

type Geodetic = [longitude_deg: number, latitude_deg: number, height_m: number];

/** Geodetic coordinates on WGS 84 of an Earth-centred position. Exact to rounding near the ground. */
export function fromEcef([x, y, z]: Local): Geodetic {
  const p = Math.hypot(x, y);
  let latitude = Math.atan2(z, p * (1 - E2));
  let height = 0;
  for (let i = 0; i < 6; i += 1) {
    const sin = Math.sin(latitude);
    const normal = SEMI_MAJOR_M / Math.sqrt(1 - E2 * sin * sin);
    height = p * Math.cos(latitude) + z * sin - SEMI_MAJOR_M * Math.sqrt(1 - E2 * sin * sin);
    latitude = Math.atan2(z, p * (1 - (E2 * normal) / (normal + height)));
  }
  return [degrees(Math.atan2(y, x)), degrees(latitude), height];
}

/** Earth-centred position of geodetic coordinates on WGS 84. */
export function toEcef([longitude, latitude, height]: Geodetic): Local {
  const [lambda, phi] = [radians(longitude), radians(latitude)];
  const normal = SEMI_MAJOR_M / Math.sqrt(1 - E2 * Math.sin(phi) ** 2);
  return [
    (normal + height) * Math.cos(phi) * Math.cos(lambda),
    (normal + height) * Math.cos(phi) * Math.sin(lambda),
    (normal * (1 - E2) + height) * Math.sin(phi),
  ];
}

/**
 * The frame of a model: its root transform is rigid and leads from the local frame to Earth-centred
 * coordinates.
 */
export class ModelFrame implements Frame {
  private readonly toEarth: readonly number[];

  /**
   * The root transform comes column by column, as in a tileset. A model is raised by the height of
   * the geoid to stand on the ellipsoid; the elevation of its origin in the survey's datum tells
   * by how much, and here it is lowered again.
   */
  constructor(
    toEarth: readonly number[],
    private readonly projection: Projection,
    originElevation_m?: number | null,
  ) {
    const axis = (column: number, i: number): number => toEarth[4 * column + i]!;
    const height_m = fromEcef([axis(3, 0), axis(3, 1), axis(3, 2)])[2];
    const geoid_m = height_m - (originElevation_m ?? height_m);
    const lowered = [0, 1, 2].map((i) => axis(3, i) - geoid_m * axis(2, i));
    this.toEarth = [...toEarth.slice(0, 12), ...lowered, 1];
  }

  toMap([x, y, z]: Local): Position {
    const m = this.toEarth;
    const row = (i: number): number => m[i]! * x + m[i + 4]! * y + m[i + 8]! * z + m[i + 12]!;
    const [longitude, latitude, height] = fromEcef([row(0), row(1), row(2)]);
    return [...this.projection.toMap([longitude, latitude]), height];
  }

  toLocal([easting, northing, elevation]: Position): Local {
    const earth = toEcef([...this.projection.toLonLat([easting, northing]), elevation]);
    const m = this.toEarth;
    const d = [earth[0] - m[12]!, earth[1] - m[13]!, earth[2] - m[14]!] as const;
    const column = (i: number): number => m[i]! * d[0] + m[i + 1]! * d[1] + m[i + 2]! * d[2];
    return [column(0), column(4), column(8)];
  }
}

/** For a survey without a model: the map itself, moved to the middle of the survey. */
export class MapFrame implements Frame {
  private readonly middle: [number, number];

  constructor(bounds: Bounds, private readonly elevation_m: number) {
    this.middle = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2];
  }

  toLocal([easting, northing, elevation]: Position): Local {
    return [easting - this.middle[0], northing - this.middle[1], elevation - this.elevation_m];
  }

  toMap([x, y, z]: Local): Position {
    return [x + this.middle[0], y + this.middle[1], z + this.elevation_m];
  }
}

/**
 * The frame near a position as a matrix, map offsets to local, column by column: for clouds and
 * grids of points that are too many to be transformed one by one.
 */
export function linearised(frame: Frame, at: Position): number[] {
  const step = 50;
  const origin = frame.toLocal(at);
  const axes = [0, 1, 2].map((axis) => {
    const ends = [step, -step].map((offset) => {
      const position: Position = [...at];
      position[axis] = position[axis]! + offset;
      return frame.toLocal(position);
    }) as [Local, Local];
    return [0, 1, 2].map((i) => (ends[0][i]! - ends[1][i]!) / (2 * step));
  });
  return [...axes.flatMap((axis) => [...axis, 0]), ...origin, 1];
}

const radians = (value: number): number => (value * Math.PI) / 180;
const degrees = (value: number): number => (value * 180) / Math.PI;
