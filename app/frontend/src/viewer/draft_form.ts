/** The panel of a pile that is being drawn. */

import type { Base, BaseMethod, Material, Survey, Volume } from "../lib/api";
import { h, icon, iconButton } from "../lib/dom";
import { area, height, mass, number, volume as volumeText, volumeHalf } from "../lib/format";
import type { Draft } from "./draft";

export interface DraftFormEvents {
  change: () => void;
  save: () => void;
  cancel: () => void;
  remove: () => void;
  snap: () => void;
  undo: () => void;
  redo: () => void;
  deleteVertex: () => void;
  close: () => void;
  walls: (isOn: boolean) => void;
  /** Another choice of what is shown. */
  looks: () => void;
}

/** Half the width of a 95 % interval in standard deviations. */
const NORMAL_95 = 1.96;
const METHODS: [BaseMethod, string][] = [
  ["plane", "Plane through the toe"],
  ["triangulated", "Follows the toe, in triangles"],
  ["smooth", "Follows the toe, smoothly"],
  ["lowest", "Level, at the lowest of the toe"],
  ["average", "Level, at the average of the toe"],
  ["highest", "Level, at the highest of the toe"],
  ["fixed", "Level, at an elevation"],
  ["survey", "Ground of the survey before"],
];

export class DraftForm {
  readonly element: HTMLFormElement;
  private readonly title = h("h2", { class: "panel-title" });
  private readonly amount = h("output", { class: "amount", "aria-live": "polite" });
  private readonly facts = h("dl", { class: "facts" });
  private readonly more = h("div", { class: "more" });
  private readonly refusal = h("p", { class: "notice bad", role: "alert", hidden: true });
  private readonly note = h("p", { class: "notice info", role: "status", hidden: true });
  private readonly guide = h("p", { class: "guide" });
  private readonly name = h("input", { id: "pile-name", name: "name", required: true, maxlength: 120, autocomplete: "off" });
  private readonly material = h("select", { id: "pile-material", name: "material" });
  private readonly base = h("select", { id: "pile-base", name: "base" });
  private readonly elevation = h("input", { id: "pile-elevation", type: "number", step: "0.01", inputmode: "decimal" });
  private readonly elevationField: HTMLElement;
  private readonly withoutMaterials: HTMLElement;
  private readonly showsBase = h("input", { type: "checkbox", checked: false });
  private readonly showsHeights = h("input", { type: "checkbox", checked: true });
  private readonly saveButton = h("button", { type: "submit", class: "button primary" }, "Save pile");
  private readonly deleteButton = h("button", { type: "button", class: "button quiet danger", onclick: () => this.events.remove() }, "Delete");
  private readonly undoButton: HTMLButtonElement;
  private readonly redoButton: HTMLButtonElement;
  private readonly vertexButton: HTMLButtonElement;
  private readonly closeButton: HTMLButtonElement;
  private readonly snapButton: HTMLButtonElement;
  private readonly wallButton: HTMLButtonElement;

  constructor(
    private readonly survey: Survey,
    materials: readonly Material[],
    private readonly events: DraftFormEvents,
  ) {
    this.undoButton = iconButton("undo", "Undo (Ctrl+Z)", events.undo);
    this.redoButton = iconButton("redo", "Redo (Ctrl+Y)", events.redo);
    this.vertexButton = iconButton("trash", "Delete vertex (Del)", events.deleteVertex);
    this.closeButton = iconButton("check", "Close the toe (Enter)", events.close);
    this.snapButton = iconButton("snap", "Snap to the foot of the pile", events.snap);
    this.wallButton = iconButton("wall", "Mark edges along walls", () => {
      this.showWalls(this.wallButton.getAttribute("aria-pressed") !== "true");
      events.walls(this.wallButton.getAttribute("aria-pressed") === "true");
    }, { "aria-pressed": "false" });
    this.withoutMaterials = h("p", { class: "guide" }, h("a", { href: `/sites/${survey.site_id}/materials`, target: "_blank" }, "State a material"), " and its density, and volumes become tonnes.");
    this.material.append(h("option", { value: "" }, "No material"), ...materials.map(({ id, name }) => h("option", { value: id }, name)));
    this.withoutMaterials.hidden = materials.length > 0;
    this.base.append(...METHODS.filter(([method]) => method !== "survey" || survey.previous_id).map(([method, words]) => h("option", { value: method }, words)));
    this.elevationField = field(`Elevation of the base, ${survey.units.length}`, this.elevation);
    for (const input of [this.material, this.base, this.elevation]) input.addEventListener("change", this.onChange);
    for (const input of [this.showsBase, this.showsHeights]) input.addEventListener("change", events.looks);
    this.element = this.build();
    this.element.hidden = true;
  }

  open(draft: Draft): void {
    this.element.hidden = false;
    this.title.textContent = draft.id ? `Edit ${draft.name}` : "New pile";
    this.name.value = draft.name;
    this.material.value = draft.material_id ?? "";
    this.base.value = draft.base.method;
    const { elevation_m } = draft.base;
    this.elevation.value = typeof elevation_m === "number" ? shortest(elevation_m * this.survey.units.per_m) : "";
    this.deleteButton.hidden = !draft.id;
    this.refusal.hidden = this.note.hidden = true;
    this.showElevation();
    this.showSelection(null);
    this.showVolume(null, 0);
  }

  submit(): void {
    this.element.requestSubmit();
  }

  values(): { name: string; material_id: string | null; base: Base } {
    const base: Base = { method: this.base.value as BaseMethod };
    if (base.method === "fixed") base.elevation_m = this.elevation.valueAsNumber / this.survey.units.per_m;
    if (base.method === "survey" && this.survey.previous_id) base.survey_id = this.survey.previous_id;
    return { name: this.name.value.trim(), material_id: this.material.value || null, base };
  }

  /** Which of base and heights the reader wants to see. */
  looks(): { base: boolean; heights: boolean } {
    return { base: this.showsBase.checked, heights: this.showsHeights.checked };
  }

  showBusy(): void {
    if (this.amount.dataset["state"] === "empty") this.amount.textContent = "Measuring…";
    this.refusal.hidden = true;
    this.amount.dataset["state"] = "busy";
  }

  showVolume(volume: Volume | null, elapsed_ms: number): void {
    this.amount.dataset["state"] = volume ? "ready" : "empty";
    this.amount.textContent = volume ? volumeText(volume.net_m3, volume.net_u95_m3, this.survey.units) : "—";
    this.facts.replaceChildren(...(volume ? this.factsOf(volume) : []));
    this.more.replaceChildren(...(volume ? this.moreOf(volume) : []));
    if (!volume) return;
    this.refusal.hidden = true;
    this.element.dataset["volumeMs"] = elapsed_ms.toFixed(0);
    this.element.dataset["netM3"] = volume.net_m3.toFixed(3);
  }

  showRefusal(words: string): void {
    this.amount.dataset["state"] = "empty";
    this.amount.textContent = "—";
    this.facts.replaceChildren();
    this.more.replaceChildren();
    this.refusal.replaceChildren(icon("warning"), h("span", {}, words));
    this.refusal.hidden = false;
  }

  showNote(words: string): void {
    this.note.textContent = words;
    this.note.hidden = false;
  }

  showShape(count: number, isClosed: boolean, walls: number): void {
    this.closeButton.hidden = isClosed;
    this.closeButton.disabled = count < 3;
    this.snapButton.disabled = this.wallButton.disabled = this.saveButton.disabled = !isClosed;
    this.guide.textContent = isClosed
      ? `${count} vertices${walls ? `, ${walls} ${walls === 1 ? "edge" : "edges"} along a wall` : ""}. Drag a vertex, or press on an edge for a new one.`
      : count === 0
        ? "Click along the foot of the pile. Drag to move the view."
        : count < 3
          ? "Click the next point of the foot."
          : "Go around the pile; click the first point or press Enter to close the toe.";
  }

  showSteps(canUndo: boolean, canRedo: boolean): void {
    this.undoButton.disabled = !canUndo;
    this.redoButton.disabled = !canRedo;
  }

  showSelection(index: number | null): void {
    this.vertexButton.disabled = index === null;
  }

  showWalls(isOn: boolean): void {
    this.wallButton.setAttribute("aria-pressed", String(isOn));
    if (isOn) this.guide.textContent = "Click the edges that run along a wall: there is no ground to see there.";
  }

  setBusy(isBusy: boolean): void {
    this.element.inert = isBusy;
    this.element.setAttribute("aria-busy", String(isBusy));
  }

  private factsOf(volume: Volume): HTMLElement[] {
    const { units } = this.survey;
    const rows: [string, string][] = [
      ["Height", height(volume.height_max_m, volume.height_max_u95_m, units)],
      ["Area", area(volume.area_m2, volume.area_u95_m2, units)],
      ["Above base", volumeText(volume.fill_m3, volume.fill_u95_m3, units)],
      ["Below base", volumeText(volume.cut_m3, volume.cut_u95_m3, units)],
      ["Ground may hold", `± ${volumeHalf(volume.ground_u95_m3, units)}`],
      ["Surface seen", `${number(100 * volume.coverage, 1)} %`],
    ];
    const { tonnes } = volume;
    if (tonnes) rows.unshift(["Mass", mass(tonnes.wet_t, tonnes.wet_u95_t, units)]);
    return rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)));
  }

  private moreOf(volume: Volume): HTMLElement[] {
    const parts: HTMLElement[] = volume.warnings.map((words) => h("p", { class: "notice warn" }, icon("warning"), h("span", {}, sentence(words))));
    const { per_m3, volume: symbol } = this.survey.units;
    const rows = volume.budget.filter(({ sigma_m3 }) => sigma_m3 !== 0).map(({ name, sigma_m3 }) =>
      h("div", {}, h("dt", {}, sentence(name.replaceAll("_", " "))), h("dd", {}, `${sigma_m3 < 0 ? "−" : "±"} ${number(NORMAL_95 * Math.abs(sigma_m3) * per_m3, 2)} ${symbol}`)),
    );
    if (rows.length) parts.push(h("details", {}, h("summary", {}, "Where the ± comes from"), h("dl", { class: "facts" }, ...rows)));
    return parts;
  }

  private readonly onChange = (): void => {
    this.showElevation();
    if (this.base.value !== "fixed" || Number.isFinite(this.elevation.valueAsNumber)) this.events.change();
  };

  private showElevation(): void {
    const isFixed = this.base.value === "fixed";
    this.elevationField.hidden = !isFixed;
    this.elevation.required = isFixed;
  }

  private build(): HTMLFormElement {
    const tools = h("div", { class: "tools", role: "toolbar", "aria-label": "Toe" },
      this.undoButton, this.redoButton, this.vertexButton, this.snapButton, this.wallButton, this.closeButton);
    return h("form", {
      class: "draft",
      onsubmit: (event: Event) => {
        event.preventDefault();
        this.events.save();
      },
    },
      h("header", { class: "panel-header" }, this.title, iconButton("close", "Discard (Esc)", () => this.events.cancel())),
      h("div", { class: "panel-body" },
        h("div", { class: "result" }, h("span", { class: "label-s" }, "Volume, ± at 95 %"), this.amount, this.facts, this.refusal),
        this.guide, tools, this.note,
        h("div", { class: "checks" },
          h("label", {}, this.showsHeights, "Colour heights above the base"),
          h("label", {}, this.showsBase, "Show the base")),
        field("Name", this.name), field("Material", this.material), this.withoutMaterials, field("Base", this.base), this.elevationField, this.more),
      h("footer", { class: "panel-footer" }, this.deleteButton,
        h("button", { type: "button", class: "button", onclick: () => this.events.cancel() }, "Cancel"), this.saveButton),
    );
  }
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A number as people type it, without the digits that a conversion adds. */
function shortest(value: number): string {
  return Number(value.toFixed(4)).toString();
}

function field(label: string, control: HTMLElement): HTMLElement {
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}
