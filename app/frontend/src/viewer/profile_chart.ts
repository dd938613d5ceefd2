/** A cross-section as a drawing, the same scale of lengths for all dates; its ticks are round in the site's units. */

import type { Profile } from "../lib/api";
import { svg } from "../lib/dom";
import { length as lengthText, type Units } from "../lib/format";

const [WIDTH, HEIGHT] = [860, 200];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 16, 26, 28];

export interface Series {
  name: string;
  profile: Profile;
  isBefore: boolean;
}

export function profileChart(series: readonly Series[], units: Units): SVGElement {
  const { per_m } = units;
  const heights = series.flatMap(({ profile }) => profile.elevation_m.filter((z) => z !== null));
  const length = Math.max(1e-6, ...series.map(({ profile }) => profile.distance_m.at(-1) ?? 0));
  const [low, high] = heights.length ? [Math.min(...heights), Math.max(...heights)] : [0, 1];
  const pad = Math.max(0.1, 0.08 * (high - low));
  const x = (d: number): number => LEFT + (d / length) * (WIDTH - LEFT - RIGHT);
  const y = (z: number): number => HEIGHT - BOTTOM - ((z - low + pad) / (high - low + 2 * pad)) * (HEIGHT - TOP - BOTTOM);
  const words = series.map(({ name }) => name).join(" and ");
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Elevations along the section on ${words}, from ${lengthText(low, units)} to ${lengthText(high, units)}` });
  for (const z of roundTicks(low, high, 4, per_m)) {
    chart.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(z), y2: y(z) }), svg("text", { x: LEFT - 6, y: y(z) + 4, "text-anchor": "end" }, lengthText(z, units, (high - low) * per_m < 4 ? 1 : 0)));
  }
  for (const d of roundTicks(0, length, 8, per_m)) chart.append(svg("text", { x: x(d), y: HEIGHT - 9, "text-anchor": "middle" }, lengthText(d, units, length * per_m < 8 ? 1 : 0)));
  [...series].reverse().forEach(({ profile, isBefore }) => chart.append(svg("path", { class: isBefore ? "series before" : "series now", d: pathOf(profile, x, y) })));
  series.forEach(({ name, isBefore }, i) => {
    const at = LEFT + 8 + 150 * i;
    chart.append(svg("path", { class: isBefore ? "series before" : "series now", d: `M${at} 14h22` }), svg("text", { x: at + 28, y: 18 }, name));
  });
  return chart;
}

/** A path that breaks at holes. */
export function pathOf({ distance_m, elevation_m }: Profile, x: (d: number) => number, y: (z: number) => number): string {
  let isDown = false;
  return distance_m.map((d, i) => {
    const z = elevation_m[i];
    const isKnown = z !== null && z !== undefined;
    const step = isKnown ? `${isDown ? "L" : "M"}${x(d).toFixed(1)} ${y(z).toFixed(1)}` : "";
    isDown = isKnown;
    return step;
  }).join("");
}

/** Lengths in metres that are round in a unit. */
function roundTicks(low_m: number, high_m: number, count: number, per_m: number): number[] {
  return ticks(low_m * per_m, high_m * per_m, count).map((value) => value / per_m);
}

/** Round values between two ends, about so many. */
export function ticks(low: number, high: number, count: number): number[] {
  const raw = Math.max(1e-9, high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9; k += 1) found.push(k * step);
  return found;
}
