/**
 * From the map of a survey to longitude and latitude, and back.
 *
 * A PROJ string in the browser knows shifts of national datums to metres at best, or not at all. The
 * server knows them exactly, so the corners of the survey correct the string: what is left of its
 * error is then linear over a quarry, and removed.
 */

import proj4, { type Converter } from "proj4";
import type { Bounds } from "./api";

type Pair = [number, number];

export interface Mapped {
  crs_proj4: string;
  bounds: Bounds;
  /** Longitude and latitude of the corners: south-west, south-east, north-east, north-west. */
  corners_lonlat?: Pair[] | null;
}

export class Projection {
  private readonly converter: Converter;
  /** From what the string says to the map. */
  private readonly correction: Affine;

  constructor({ crs_proj4, bounds: [west, south, east, north], corners_lonlat }: Mapped) {
    this.converter = proj4("WGS84", crs_proj4);
    const corners: Pair[] = [[west, south], [east, south], [east, north], [west, north]];
    const said = (corners_lonlat ?? []).map((corner) => this.converter.forward(corner) as Pair);
    this.correction = said.length === 4 ? fitAffine(said, corners) : { from: [0, 0], to: [0, 0], matrix: [1, 0, 0, 1] };
  }

  toMap(lonLat: Pair): Pair {
    return apply(this.correction, this.converter.forward(lonLat) as Pair);
  }

  toLonLat(place: Pair): Pair {
    return this.converter.inverse(apply(inverse(this.correction), place)) as Pair;
  }
}

/** `to + matrix (p − from)`, the matrix row by row. */
interface Affine {
  from: Pair;
  to: Pair;
  matrix: [number, number, number, number];
}

/** The affine map of four corners by least squares, around their means. */
function fitAffine(source: readonly Pair[], target: readonly Pair[]): Affine {
  const [from, to] = [mean(source), mean(target)];
  const sums = { xx: 0, xy: 0, yy: 0, xu: 0, yu: 0, xv: 0, yv: 0 };
  source.forEach((p, i) => {
    const [x, y, u, v] = [p[0] - from[0], p[1] - from[1], target[i]![0] - to[0], target[i]![1] - to[1]];
    sums.xx += x * x;
    sums.xy += x * y;
    sums.yy += y * y;
    sums.xu += x * u;
    sums.yu += y * u;
    sums.xv += x * v;
    sums.yv += y * v;
  });
  const { xx, xy, yy, xu, yu, xv, yv } = sums;
  const det = xx * yy - xy * xy;
  return { from, to, matrix: [(xu * yy - yu * xy) / det, (yu * xx - xu * xy) / det, (xv * yy - yv * xy) / det, (yv * xx - xv * xy) / det] };
}

function inverse({ from, to, matrix: [a, b, c, d] }: Affine): Affine {
  const det = a * d - b * c;
  return { from: to, to: from, matrix: [d / det, -b / det, -c / det, a / det] };
}

function apply({ from, to, matrix: [a, b, c, d] }: Affine, place: Pair): Pair {
  const [x, y] = [place[0] - from[0], place[1] - from[1]];
  return [to[0] + a * x + b * y, to[1] + c * x + d * y];
}

function mean(places: readonly Pair[]): Pair {
  return [0, 1].map((k) => places.reduce((sum, place) => sum + place[k]!, 0) / places.length) as Pair;
}
