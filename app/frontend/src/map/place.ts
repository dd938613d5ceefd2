/** Places of a survey in longitude and latitude. */

import type { Survey, Toe } from "../lib/api";
import { Projection } from "../lib/projection";

const projections = new WeakMap<Survey, Projection>();

/** Longitude and latitude of a map position, in degrees. */
export function lonLat(survey: Survey, easting: number, northing: number): [number, number] {
  let projection = projections.get(survey);
  if (!projection) projections.set(survey, (projection = new Projection(survey)));
  return projection.toLonLat([easting, northing]);
}

/** South-west and north-east corners of a toe. */
export function boundsOf(survey: Survey, toe: Toe): [[number, number], [number, number]] {
  const places = toe.coordinates.flat().map(([e, n]) => lonLat(survey, e, n));
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
  return [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]];
}
