/** Measuring on the surface: distance and height, area, cross-section. */

import { type Api, type Survey, wordsOf } from "../lib/api";
import { h, iconButton } from "../lib/dom";
import { drape } from "../lib/drape";
import { day, length, number, type Units } from "../lib/format";
import type { Frame, Local } from "../lib/frame";
import { area_m2, length_m, middle } from "../lib/ring";
import type { Labels } from "./labels";
import { Handles, SurfaceLine } from "./lines";
import { profileChart } from "./profile_chart";
import type { Scene } from "./scene";
import type { Surface } from "./surface";

export type Kind = "distance" | "area" | "section";

const COLOUR = "#4da3ff";
const LABEL = "measure";
const GUIDES: Record<Kind, string> = {
  distance: "Click points of a line; Enter or a double click ends it.",
  area: "Click around the area; Enter or a double click closes it.",
  section: "Click the two ends of the section, or more points between.",
};

interface Context {
  scene: Scene;
  surface: Surface;
  frame: Frame;
  labels: Labels;
  api: Api;
  survey: Survey;
  stage: HTMLElement;
  say: (words: string) => void;
}

export class Measure {
  private kind: Kind | null = null;
  private points: Local[] = [];
  private pointer: Local | null = null;
  private isDone = false;
  private down: [number, number] | null = null;
  private readonly line: SurfaceLine;
  private readonly handles: Handles;
  private readonly chart = h("section", { class: "chart-panel", hidden: true, "aria-label": "Cross-section" });

  constructor(private readonly context: Context) {
    const { scene, stage } = context;
    this.line = new SurfaceLine(scene, COLOUR, 3);
    this.handles = new Handles(scene);
    stage.append(this.chart);
    const { canvas } = scene;
    canvas.addEventListener("pointerdown", ({ offsetX, offsetY }) => (this.down = [offsetX, offsetY]));
    canvas.addEventListener("pointerup", this.onUp);
    canvas.addEventListener("pointermove", this.onMove);
    canvas.addEventListener("dblclick", () => this.finish());
    canvas.addEventListener("keydown", this.onKey, { capture: true });
  }

  start(kind: Kind): void {
    this.leave();
    this.kind = kind;
    const { scene, say } = this.context;
    scene.canvas.dataset["cursor"] = "draw";
    scene.canvas.focus({ preventScroll: true });
    say(GUIDES[kind]);
  }

  leave(): void {
    this.kind = null;
    this.points = [];
    this.pointer = null;
    this.isDone = false;
    this.chart.hidden = true;
    this.context.scene.canvas.dataset["cursor"] = "";
    this.draw();
  }

  private readonly onUp = ({ offsetX, offsetY, button }: PointerEvent): void => {
    const { down } = this;
    this.down = null;
    if (!this.kind || !down || button !== 0 || Math.hypot(offsetX - down[0], offsetY - down[1]) > 5) return;
    const place = this.context.surface.pick(offsetX, offsetY);
    if (!place) return;
    if (this.isDone) this.start(this.kind);
    const next: Local = place.toArray();
    const last = this.points.at(-1);
    // The second click of a double click ends the line where the first one did.
    if (last && length_m([last, next]) < 1e-3) return;
    this.points.push(next);
    this.draw();
  };

  private readonly onMove = ({ offsetX, offsetY, buttons, pointerType }: PointerEvent): void => {
    if (!this.kind || this.isDone || buttons || pointerType !== "mouse" || !this.points.length) return;
    this.pointer = this.context.surface.pick(offsetX, offsetY)?.toArray() ?? null;
    this.draw();
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    if (!this.kind) return;
    const { scene, surface } = this.context;
    if (event.key === "Escape") this.leave();
    else if (event.key === "Enter") this.finish();
    else if (event.key === "Backspace") this.points.pop();
    else if (event.key === " ") {
      const place = surface.pick(scene.canvas.clientWidth / 2, scene.canvas.clientHeight / 2);
      if (place) this.points.push(place.toArray());
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.draw();
  };

  private finish(): void {
    const least = this.kind === "area" ? 3 : 2;
    if (!this.kind || this.isDone || this.points.length < least) return;
    this.isDone = true;
    this.pointer = null;
    this.draw();
    if (this.kind === "section") void this.showSection();
  }

  private draw(): void {
    const { surface, labels, survey } = this.context;
    const points = this.pointer ? [...this.points, this.pointer] : this.points;
    const isRing = this.kind === "area" && points.length > 2;
    const line = drape(points, surface.heightAt, isRing, 0.4, 0.04);
    this.line.draw(points.length > 1 ? line : []);
    this.handles.draw(this.points, () => COLOUR);
    labels.remove(LABEL);
    const words = this.kind ? describe(this.kind, points, line, survey.units) : "";
    if (words) labels.set(LABEL, isRing ? middle(points) : points.at(-1)!, h("output", { class: "measure-label" }, words), true);
  }

  private async showSection(): Promise<void> {
    const { api, survey, frame, say } = this.context;
    const line = this.points.map((point): [number, number] => {
      const [easting, northing] = frame.toMap(point);
      return [easting, northing];
    });
    try {
      const now = await api.profile(survey.id, line);
      const previous = survey.previous_id ? await this.before(survey.previous_id, line) : null;
      const series = [{ name: day(survey.flown_on), profile: now, isBefore: false }, ...(previous ? [previous] : [])];
      const header = h("header", {}, h("span", {}, `Cross-section, ${length(now.distance_m.at(-1) ?? 0, survey.units, 1)}`), iconButton("close", "Close", () => this.leave()));
      this.chart.replaceChildren(header, profileChart(series, survey.units));
      this.chart.hidden = false;
    } catch (error) {
      say(`The section cannot be drawn. ${wordsOf(error)}`);
    }
  }

  /** The section of the survey before; without it the section of today still stands. */
  private async before(id: string, line: [number, number][]): Promise<{ name: string; profile: Awaited<ReturnType<Api["profile"]>>; isBefore: true } | null> {
    const { api } = this.context;
    try {
      const [survey, profile] = await Promise.all([api.survey(id), api.profile(id, line)]);
      return { name: day(survey.flown_on), profile, isBefore: true };
    } catch {
      this.context.say("The section of the survey before could not be loaded.");
      return null;
    }
  }
}

function describe(kind: Kind, points: readonly Local[], line: readonly Local[], units: Units): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < 2) return "";
  if (kind === "area" && points.length > 2) {
    return `${areaInPlan(Math.abs(area_m2(points)), units)}, ${length(length_m([...points, first], true), units, 1)} around`;
  }
  const rise = last[2] - first[2];
  const level = length_m(points, true);
  const slope = (100 * rise) / Math.max(1e-6, level);
  const [straight, along] = [length_m(points), length_m(line)].map((value) => length(value, units));
  return `${straight} · level ${length(level, units)} · ${rise < 0 ? "down" : "up"} ${length(Math.abs(rise), units)} (${number(Math.abs(slope))} %) · along ground ${along}`;
}

/** An area as that of a pile, and of land where it is that large. */
function areaInPlan(value_m2: number, { area, per_m2, land, land_per_m2 }: Units): string {
  const ofLand = value_m2 * land_per_m2;
  return `${number(value_m2 * per_m2, per_m2 > 1 ? 0 : 1)} ${area}${ofLand < 1 ? "" : ` (${number(ofLand, 2)} ${land})`} in plan`;
}
