/** What the map draws: the base map, the pictures of a survey, its toes. */

import type { FeatureCollection } from "geojson";
import type { LayerSpecification, StyleSpecification } from "maplibre-gl";
import type { SavedToe, Survey, Toe } from "../lib/api";
import { type Item, TOE_COLOURS } from "../lib/review";
import { lonLat } from "./place";

export type Picture = "orthomosaic" | "hillshade" | "height";

const TILE_PX = 256;
const DEEPEST_ZOOM = 23;

/** The base map that the organisation configured, or none. */
export async function baseStyle(url: string | undefined, background: string): Promise<StyleSpecification> {
  const plain: StyleSpecification = {
    version: 8,
    sources: {},
    layers: [{ id: "background", type: "background", paint: { "background-color": background } }],
  };
  if (!url) return plain;
  try {
    const answer = await fetch(url);
    return answer.ok ? ((await answer.json()) as StyleSpecification) : plain;
  } catch {
    // Without a connection the survey itself is still a map.
    return plain;
  }
}

/** The style with one picture of a survey over the base map; heights where it has no orthomosaic. */
export function withSurvey(style: StyleSpecification, survey: Survey, picture: Picture): StyleSpecification {
  const shown = picture === "orthomosaic" && !survey.orthomosaic_url ? "height" : picture;
  const template = survey.tiles_url?.replace("{layer}", shown);
  if (!template) return style;
  const [west, south] = lonLat(survey, survey.bounds[0], survey.bounds[1]);
  const [east, north] = lonLat(survey, survey.bounds[2], survey.bounds[3]);
  const tiles = [new URL(template, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}")];
  const layer: LayerSpecification = { id: "survey", type: "raster", source: "survey", paint: { "raster-fade-duration": 120 } };
  return {
    ...style,
    sources: { ...style.sources, survey: { type: "raster", tiles, tileSize: TILE_PX, maxzoom: DEEPEST_ZOOM, bounds: [west, south, east, north] } },
    layers: [...style.layers, layer],
  };
}

/** The style with toes over everything; those that wait for a review are dashed. */
export function withToes(style: StyleSpecification, data: FeatureCollection): StyleSpecification {
  const { confirmed, ...waiting } = TOE_COLOURS;
  const colour = ["match", ["get", "kind"], ...Object.entries(waiting).flat(), confirmed];
  const paints: LayerSpecification[] = [
    { id: "toe-casing", type: "line", source: "toes", paint: { "line-color": "#101314", "line-width": 5, "line-opacity": 0.55 } },
    { id: "toe-line", type: "line", source: "toes", filter: ["==", ["get", "kind"], "confirmed"], paint: { "line-color": confirmed, "line-width": 2.5 } },
    { id: "toe-dashes", type: "line", source: "toes", filter: ["!=", ["get", "kind"], "confirmed"], paint: { "line-color": colour as never, "line-width": 3, "line-dasharray": [2.5, 1.5] } },
  ];
  return { ...style, sources: { ...style.sources, toes: { type: "geojson", data } }, layers: [...style.layers, ...paints] };
}

export function toeFeatures(survey: Survey, toes: readonly SavedToe[], items: readonly Item[]): FeatureCollection {
  const feature = (key: string, kind: string, toe: Toe): FeatureCollection["features"][number] => ({
    type: "Feature",
    properties: { key, kind },
    geometry: { type: "Polygon", coordinates: toe.coordinates.map((ring) => ring.map(([e, n]) => lonLat(survey, e, n))) },
  });
  return {
    type: "FeatureCollection",
    features: [
      ...items.map(({ key, kind, toe }) => feature(key, kind, toe)),
      ...toes.map(({ id, toe }) => feature(id, "confirmed", toe)),
    ],
  };
}
