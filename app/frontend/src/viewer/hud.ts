/** What lies over the picture: north, scale, coordinates, legend, messages. */

import { Vector3 } from "three";
import { h, icon } from "../lib/dom";
import { length, number, type Units } from "../lib/format";
import type { Frame } from "../lib/frame";
import type { Scene } from "./scene";
import type { Ramp } from "./shading";
import type { Surface } from "./surface";

const BAR_PX = 140;

export class Hud {
  readonly element = h("div", { class: "hud" });
  private readonly needle = icon("north");
  private readonly bar = h("span", { class: "scale-bar" });
  private readonly size = h("span", {});
  private readonly place = h("output", { class: "coordinates" });
  private readonly legend = h("figure", { class: "legend", hidden: true });
  private readonly message = h("div", { class: "toast", role: "status", "aria-live": "polite", hidden: true });
  private timer = 0;

  constructor(
    private readonly scene: Scene,
    surface: Surface,
    frame: Frame,
    private readonly units: Units,
  ) {
    const north = h("button", { type: "button", class: "north", "aria-label": "Turn north up", "data-tip": "Turn north up", onclick: () => scene.faceNorth() }, this.needle);
    this.element.append(north, this.legend, h("div", { class: "status" }, h("div", { class: "scale" }, this.bar, this.size), this.place), this.message);
    scene.onFrame(this.update);
    let isWaiting = false;
    scene.canvas.addEventListener("pointermove", ({ offsetX, offsetY, buttons }) => {
      if (isWaiting || buttons) return;
      isWaiting = true;
      requestAnimationFrame(() => {
        isWaiting = false;
        const hit = surface.pick(offsetX, offsetY);
        this.place.textContent = hit ? coordinates(frame.toMap(hit.toArray()), units) : "";
      });
    });
  }

  /** Say something for a few seconds. */
  say(words: string): void {
    this.message.textContent = words;
    this.message.hidden = false;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => (this.message.hidden = true), 5000);
  }

  /** Explain the colours, from the lowest to the highest value in metres, and what its ends mean; null removes it. */
  explain(title: string, ramp: Ramp | null, range: [number, number] = [0, 1], ends: [string, string] = ["", ""]): void {
    this.legend.hidden = !ramp;
    if (!ramp) return;
    const colours = h("div", { class: "ramp" });
    colours.style.background = `linear-gradient(to right, ${ramp.join(", ")})`;
    const [low, high] = range;
    const decimals = (high - low) * this.units.per_m < 5 ? 2 : 1;
    const ticks = [low, (low + high) / 2, high].map((value, i) => h("span", {}, `${length(value, this.units, decimals)}${[ends[0], "", ends[1]][i]}`));
    this.legend.replaceChildren(h("figcaption", {}, title), colours, h("div", { class: "ticks" }, ...ticks));
  }

  private readonly update = (): void => {
    const { scene } = this;
    const azimuth = scene.controls.getAzimuthalAngle();
    this.needle.style.transform = `rotate(${azimuth.toFixed(4)}rad)`;
    const perPixel = scene.metresPerPixel(new Vector3().copy(scene.controls.target));
    const { length: symbol, per_m, small, small_per_m } = this.units;
    const longest_m = perPixel * BAR_PX;
    const [per, unit] = longest_m * per_m >= 1 ? [per_m, symbol] : [small_per_m, small];
    const shown = roundLength(longest_m * per);
    this.bar.style.width = `${(shown / per / perPixel).toFixed(1)}px`;
    this.size.textContent = `${number(shown)} ${unit}`;
  };
}

/** The largest of 1, 2, 5 times a power of ten that is not above a length. */
function roundLength(longest: number): number {
  const power = 10 ** Math.floor(Math.log10(longest));
  const steps = [5, 2, 1].map((step) => step * power);
  return steps.find((step) => step <= longest) ?? power;
}

/** Map coordinates are the CRS's, in metres always; the elevation is read like any height. */
function coordinates([easting, northing, elevation]: [number, number, number], units: Units): string {
  const metres = units.length === "m" ? "" : " m";
  return `E ${number(easting, 2)}${metres}  N ${number(northing, 2)}${metres}  H ${length(elevation, units)}`;
}
