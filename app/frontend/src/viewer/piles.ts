/** The piles of a survey on its model: toe lines with labels. */

import { Vector3 } from "three";
import type { SavedToe, Survey, Toe } from "../lib/api";
import { h } from "../lib/dom";
import { drape } from "../lib/drape";
import { number, volume as volumeText } from "../lib/format";
import type { Frame, Local } from "../lib/frame";
import { type Item, TOE_COLOURS } from "../lib/review";
import { middle, type Ring } from "../lib/ring";
import type { Labels } from "./labels";
import { SurfaceLine } from "./lines";
import type { Scene } from "./scene";
import type { Surface } from "./surface";

const STEP_M = 0.5;
const LIFT_M = 0.04;

/** The outer ring of a toe in the frame that is drawn. */
export function toRing(toe: Toe, frame: Frame): Ring {
  const outer = toe.coordinates[0] ?? [];
  return { vertices: outer.slice(0, -1).map((position) => frame.toLocal(position)), walls: toe.walls };
}

/** A ring as the toe of the API, with the holes that it had. */
export function toToe(ring: Ring, frame: Frame, holes: Toe["coordinates"]): Toe {
  const outer = ring.vertices.map((vertex) => frame.toMap(vertex));
  return { coordinates: [[...outer, outer[0]!], ...holes], walls: [...ring.walls] };
}

export class PileLayer {
  private readonly shown = new Map<string, { ring: Ring; line: SurfaceLine }>();
  private hidden: string | null = null;

  constructor(
    private readonly scene: Scene,
    private readonly surface: Surface,
    private readonly frame: Frame,
    private readonly labels: Labels,
    private readonly survey: Survey,
    private readonly events: { open: (toe: SavedToe) => void; review: (item: Item) => void },
  ) {}

  /** Show the piles that count, and dashed those that somebody has to review first. */
  show(toes: readonly SavedToe[], items: readonly Item[]): void {
    this.clear();
    for (const toe of toes.filter(({ is_confirmed }) => is_confirmed)) {
      this.add(toe.id, toe.toe, TOE_COLOURS.confirmed, false, this.label(toe.name, this.amount(toe), () => this.events.open(toe)));
    }
    for (const item of items) {
      const words = item.confidence === null ? "gone" : `to review, ${number(100 * item.confidence)} % sure`;
      const label = this.label(item.name, words, () => this.events.review(item));
      this.add(item.key, item.toe, TOE_COLOURS[item.kind], true, label);
    }
    this.hide(this.hidden);
  }

  /** Leave out the pile that is being edited. */
  hide(id: string | null): void {
    this.hidden = id;
    for (const [key, { line }] of this.shown) {
      line.group.visible = key !== id;
      this.labels.setVisible(key, key !== id);
    }
    this.scene.invalidate();
  }

  /** Look at a pile. */
  focus(id: string): void {
    const ring = this.shown.get(id)?.ring;
    if (ring) focusRing(this.scene, ring);
    this.labels.prefer(id);
  }

  /** Lay all lines again, after finer tiles have come. */
  readonly redraw = (): void => {
    for (const { ring, line } of this.shown.values()) {
      line.draw(drape(ring.vertices, this.surface.heightAt, true, STEP_M, LIFT_M));
    }
  };

  clear(): void {
    for (const [key, { line }] of this.shown) {
      line.dispose();
      this.labels.remove(key);
    }
    this.shown.clear();
  }

  private add(key: string, toe: Toe, colour: string, isDashed: boolean, label: HTMLElement): void {
    const ring = toRing(toe, this.frame);
    const line = new SurfaceLine(this.scene, colour, isDashed ? 3 : 2.5, isDashed);
    line.draw(drape(ring.vertices, this.surface.heightAt, true, STEP_M, LIFT_M));
    this.shown.set(key, { ring, line });
    const [x, y, z] = middle(ring.vertices);
    this.labels.set(key, [x, y, Math.max(z, this.surface.heightAt(x, y) ?? z)], label);
  }

  private amount({ volume }: SavedToe): string {
    return volume ? volumeText(volume.net_m3, volume.net_u95_m3, this.survey.units) : "not measured";
  }

  private label(name: string, words: string, onclick: () => void): HTMLElement {
    return h("button", { type: "button", class: "pile-label", tabindex: "-1", onclick }, h("strong", {}, name), h("span", {}, words));
  }
}

/** Look at a ring. */
function focusRing(scene: Scene, ring: Ring): void {
  const centre = new Vector3(...middle(ring.vertices));
  const radius = Math.max(...ring.vertices.map((v: Local) => centre.distanceTo(new Vector3(...v))));
  scene.focus(centre, Math.max(4, 1.4 * radius));
}
