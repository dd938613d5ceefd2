/** The panel of a survey: its piles, what they add up to, and what waits for a review. */

import type { SavedToe, Survey } from "../lib/api";
import { h, icon, iconButton } from "../lib/dom";
import { day, number, volume } from "../lib/format";
import type { Item } from "../lib/review";
import { CHANGES } from "./review";
import type { Waiting } from "./waiting";

export interface PileListEvents {
  draw: () => void;
  open: (toe: SavedToe) => void;
  focus: (key: string) => void;
  /** Go through what waits, from an item or from the first one on. */
  review: (key: string | null) => void;
}

export class PileList {
  readonly element: HTMLElement;
  private readonly body = h("div", { class: "panel-body" });

  constructor(
    private readonly survey: Survey,
    private readonly waiting: Waiting,
    private readonly events: PileListEvents,
  ) {
    const draw = h("button", { type: "button", class: "button primary wide", onclick: events.draw }, icon("draw"), "Draw a pile");
    const look = button("Find piles", "", () => waiting.look(), "Looking…");
    look.title = "Have a program look for piles, and carry over those of the survey before";
    this.element = h("div", { class: "pile-list" },
      h("header", { class: "panel-header" }, h("div", {}, h("h2", { class: "panel-title" }, "Piles"), places(survey))),
      this.body,
      survey.can_edit && h("footer", { class: "panel-footer" }, look, draw),
    );
    this.showLoading();
  }

  showLoading(): void {
    this.body.replaceChildren(...[1, 2, 3].map(() => h("div", { class: "skeleton" })));
  }

  /** What could not be loaded, with a way to try again. */
  showFailure(words: string, retry: () => void): void {
    this.body.replaceChildren(
      h("div", { class: "notice bad", role: "alert" }, icon("warning"), h("span", {}, words)),
      h("button", { type: "button", class: "button", onclick: retry }, "Try again"),
    );
  }

  show(survey: Survey, toes: readonly SavedToe[], items: readonly Item[]): void {
    const counted = toes.filter(({ is_confirmed }) => is_confirmed);
    const open = items.filter(({ kind }) => kind !== "gone").length;
    this.body.replaceChildren(
      ...(survey.closed_in ? [sealed(survey.closed_in)] : []),
      ...(open ? [this.callToReview(open)] : []),
      counted.length ? total(survey, counted.length) : this.empty(open),
      ...(counted.length ? [h("ul", { class: "rows", "aria-label": "Piles" }, ...counted.map((toe) => this.row(toe)))] : []),
      ...(items.length ? [h("h3", { class: "section" }, `To review (${items.length})`), h("ul", { class: "rows", "aria-label": "To review" }, ...items.map((item) => this.item(item)))] : []),
    );
  }

  /** Mark the pile that is looked at. */
  mark(key: string): void {
    for (const row of this.body.querySelectorAll<HTMLElement>(".row")) {
      const isIt = row.dataset["key"] === key;
      row.setAttribute("aria-current", String(isIt));
      if (isIt) row.scrollIntoView({ block: "nearest" });
    }
  }

  /** That something waits, and what can be done with all of it. */
  private callToReview(count: number): HTMLElement {
    const isOne = count === 1;
    const words = `${count} ${isOne ? "pile waits" : "piles wait"} for a review and ${isOne ? "is" : "are"} not counted.`;
    return h("div", { class: "waiting" }, h("p", {}, words),
      this.survey.can_edit && h("div", { class: "waiting-actions" },
        h("button", { type: "button", class: "button primary", onclick: () => this.events.review(null) }, "Review (R)"),
        button("Accept all", "quiet", () => this.waiting.acceptAll(), "Accepting…"),
        button("Leave out all", "quiet", () => this.waiting.leaveOutAll(), "Leaving out…")));
  }

  private empty(waiting: number): HTMLElement {
    const words = !this.survey.can_edit
      ? "Nobody has drawn a pile in this survey yet."
      : waiting
        ? "Review what waits, or draw a pile along its foot."
        : "Choose “Draw a pile” and click along the foot of a pile on the model; its volume appears at once. Or have a program find the piles for you to accept.";
    return h("div", { class: "empty" }, icon("draw"), h("h3", {}, waiting ? "No pile counts yet" : "No piles yet"), h("p", {}, words));
  }

  private row(toe: SavedToe): HTMLElement {
    const amount = toe.volume ? volume(toe.volume.net_m3, toe.volume.net_u95_m3, this.survey.units) : "not measured";
    return h("li", { class: "row", "data-key": toe.id },
      h("button", { type: "button", class: "row-main", onclick: () => this.events.focus(toe.id), title: `Drawn by ${toe.drawn_by}, ${day(toe.drawn_at)}` },
        h("span", { class: "row-name" }, toe.name),
        h("span", { class: "row-value" }, amount)),
      this.survey.can_edit && iconButton("edit", `Edit ${toe.name}`, () => this.events.open(toe)),
    );
  }

  private item(item: Item): HTMLElement {
    const words = item.confidence === null ? "not in this survey" : `confidence ${number(100 * item.confidence)} %`;
    const onclick = (): void => (this.survey.can_edit ? this.events.review(item.key) : this.events.focus(item.key));
    return h("li", { class: "row", "data-key": item.key },
      h("button", { type: "button", class: "row-main", title: item.reasons.join("; "), onclick },
        h("span", { class: "row-name" }, item.name, h("span", { class: "badge" }, CHANGES[item.change])),
        h("span", { class: "row-value muted" }, words)));
  }
}

/** The pages of the survey and of its inventory. */
function places({ id, site_id, name, flown_on }: Survey): HTMLElement {
  return h("p", { class: "muted" }, h("a", { href: `/surveys/${id}` }, name), `, ${day(flown_on)} · `, h("a", { href: `/sites/${site_id}/inventory` }, "Inventory"));
}

function total(survey: Survey, count: number): HTMLElement {
  const sum = volume(survey.net_m3 ?? 0, survey.net_u95_m3 ?? 0, survey.units);
  return h("p", { class: "total" }, h("span", {}, `${count} ${count === 1 ? "pile" : "piles"}`), h("strong", {}, sum));
}

/** A button for what takes a moment; until it is done it says so. */
function button(words: string, kind: string, action: () => Promise<void>, busy: string): HTMLButtonElement {
  const element: HTMLButtonElement = h("button", {
    type: "button",
    class: `button ${kind}`,
    onclick: () => {
      [element.disabled, element.textContent] = [true, busy];
      void action().finally(() => ([element.disabled, element.textContent] = [false, words]));
    },
  }, words);
  return element;
}

/** Why nothing can be changed. */
function sealed(period: string): HTMLElement {
  return h("div", { class: "notice info" }, h("span", {}, `Sealed in “${period}”: piles can be changed once a manager reopens that period.`));
}
