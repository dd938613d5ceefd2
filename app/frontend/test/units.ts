/** Units of a site as the server states them. */

import type { Units } from "../src/lib/format";

export const METRIC: Units = {
  volume: "m³", mass: "t", length: "m", area: "m²", small: "cm", land: "ha",
  per_m3: 1, per_t: 1, per_m: 1, per_m2: 1, small_per_m: 100, land_per_m2: 1e-4,
};

export const AMERICAN: Units = {
  volume: "yd³", mass: "short tons", length: "ft", area: "ft²", small: "in", land: "acres",
  per_m3: 1 / 0.764554857984, per_t: 1 / 0.90718474, per_m: 1 / 0.3048, per_m2: 1 / 0.09290304, small_per_m: 1 / 0.0254, land_per_m2: 1 / 4046.8564224,
};
