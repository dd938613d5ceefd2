/** Places of a survey in longitude and latitude. */

import proj4, { type Converter } from "proj4";
import type { Survey, Toe } from "../lib/api";

const converters = new Map<string, Converter>();

/** Longitude and latitude of a map position, in degrees. */
export function lonLat({ crs_proj4 }: Survey, easting: number, northing: number): [number, number] {
  let converter = converters.get(crs_proj4);
  if (!converter) converters.set(crs_proj4, (converter = proj4("WGS84", crs_proj4)));
  return converter.inverse([easting, northing]) as [number, number];
}

/** South-west and north-east corners of a toe. */
export function boundsOf(survey: Survey, toe: Toe): [[number, number], [number, number]] {
  const places = toe.coordinates.flat().map(([e, n]) => lonLat(survey, e, n));
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
  return [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]];
}
