/** Going through the piles that nobody confirmed, one after the other. */

import { type Api, type Survey, type Volume, wordsOf } from "../lib/api";
import { h, icon, iconButton } from "../lib/dom";
import { area, height, number, volume as volumeText } from "../lib/format";
import type { Item } from "../lib/review";

export interface ReviewEvents {
  /** Look at it on the model. */
  show: (item: Item) => void;
  accept: (item: Item) => Promise<void>;
  edit: (item: Item) => void;
  leaveOut: (item: Item) => Promise<void>;
  close: () => void;
}

export const CHANGES: Record<Item["change"], string> = {
  unchanged: "as before", moved: "moved", grown: "grown", shrunk: "shrunk", split: "split", merged: "merged",
  regrouped: "regrouped", new: "new", gone: "gone",
};

const GUIDES: Record<Item["kind"], string> = {
  carried: "Confirm it if the dashed line follows the foot of the pile; else edit the line. It does not count before.",
  proposed: "A program found it. Accept it if the dashed line follows the foot of a pile; leave out what is none.",
  gone: "The survey before had it, this one has not. If it is still there, draw its line again.",
};

export class Review {
  readonly element = h("section", { class: "review", hidden: true, "aria-label": "Review" });
  private items: readonly Item[] = [];
  private at = 0;
  private measuring: AbortController | null = null;
  private readonly title = h("h2", { class: "panel-title" });
  private readonly body = h("div", { class: "panel-body", "aria-live": "polite" });
  private readonly footer = h("footer", { class: "panel-footer" });

  constructor(
    private readonly api: Api,
    private readonly survey: Survey,
    private readonly events: ReviewEvents,
  ) {
    const header = h("header", { class: "panel-header" }, this.title, h("div", { class: "steps" },
      iconButton("back", "Previous (P)", () => this.step(-1)), iconButton("next", "Next (N)", () => this.step(1)),
      iconButton("close", "To the list (Esc)", () => this.close())));
    this.element.append(header, this.body, this.footer);
    document.addEventListener("keydown", this.onKey);
  }

  get isOpen(): boolean {
    return this.items.length > 0;
  }

  /** Begin, with a certain item or the first one. */
  open(items: readonly Item[], key: string | null = null): void {
    this.items = items;
    this.at = Math.max(0, items.findIndex((item) => item.key === key));
    if (this.isOpen) this.show();
    else this.close();
  }

  /** Go on with what is left; the next item is where the former one was. */
  update(items: readonly Item[]): void {
    if (!this.isOpen) return;
    const current = this.items[this.at]!.key;
    const place = items.findIndex((item) => item.key === current);
    this.items = items;
    this.at = place >= 0 ? place : Math.min(this.at, items.length - 1);
    if (this.isOpen) this.show();
    else this.close();
  }

  private close(): void {
    this.measuring?.abort();
    this.items = [];
    this.events.close();
  }

  private step(by: number): void {
    this.at = (this.at + by + this.items.length) % this.items.length;
    this.show();
  }

  private show(): void {
    const item = this.items[this.at]!;
    const amount = h("output", { class: "amount" }, "Measuring…");
    const facts = h("dl", { class: "facts" });
    this.title.textContent = `Review ${this.at + 1} of ${this.items.length}`;
    this.body.replaceChildren(
      h("h3", { class: "row-name" }, item.name, h("span", { class: "badge" }, CHANGES[item.change])),
      h("div", { class: "result" }, h("span", { class: "label-s" }, "Volume, ± at 95 %"), amount, facts),
      h("p", { class: "guide" }, madeOf(item), GUIDES[item.kind]),
      ...(item.confidence === null ? [] : [confidence(item.confidence, item.reasons)]),
    );
    const accept = h("button", { type: "button", class: "button primary", onclick: () => this.act(this.events.accept) }, ACCEPT[item.kind]);
    this.footer.replaceChildren(
      ...(item.kind === "gone" ? [] : [h("button", { type: "button", class: "button quiet danger", onclick: () => this.act(this.events.leaveOut) }, "Leave out")]),
      h("button", { type: "button", class: "button", onclick: () => this.events.edit(item) }, item.kind === "gone" ? "Draw it" : "Edit"),
      accept,
    );
    this.events.show(item);
    accept.focus({ preventScroll: true });
    void this.measure(item, amount, facts);
  }

  /** Its volume, beside that of the survey before. */
  private async measure(item: Item, amount: HTMLElement, facts: HTMLElement): Promise<void> {
    this.measuring?.abort();
    const { signal } = (this.measuring = new AbortController());
    try {
      const now = await this.volumeOf(item, signal);
      amount.textContent = now ? volumeText(now.net_m3, now.net_u95_m3, this.survey.units) : "—";
      facts.replaceChildren(...this.comparison(now, item.was?.volume ?? null));
    } catch (error) {
      if (!signal.aborted) [amount.textContent, facts.textContent] = ["—", wordsOf(error)];
    }
  }

  private volumeOf(item: Item, signal: AbortSignal): Promise<Volume | null> | Volume | null {
    if (item.kind === "carried") return item.saved.volume;
    if (item.kind === "gone") return null;
    const { toe, proposal, was } = item;
    const question = { toe, base: was?.base ?? { method: "plane" as const }, material_id: proposal.material_id, compares_bases: false };
    return this.api.volume(this.survey.id, question, signal);
  }

  private comparison(now: Volume | null, was: Volume | null): HTMLElement[] {
    const rows: [string, string][] = [];
    if (was) rows.push(["In the survey before", volumeText(was.net_m3, was.net_u95_m3, this.survey.units)]);
    if (was && now) rows.push(["Change", this.change(now.net_m3 - was.net_m3, Math.hypot(now.net_u95_m3, was.net_u95_m3))]);
    if (now) {
      rows.push(["Height", height(now.height_max_m, now.height_max_u95_m, this.survey.units)]);
      rows.push(["Area in plan", area(now.area_m2, now.area_u95_m2, this.survey.units)]);
    }
    return rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  }

  private change(net_m3: number, u95_m3: number): string {
    return `${net_m3 > 0 ? "+" : ""}${volumeText(net_m3, u95_m3, this.survey.units)}`;
  }

  /** Do something with the item once, however often somebody presses. */
  private act(action: (item: Item) => Promise<void>): void {
    const buttons = [...this.footer.querySelectorAll("button")];
    if (buttons.some((button) => button.disabled)) return;
    for (const button of buttons) button.disabled = true;
    void action(this.items[this.at]!).finally(() => buttons.forEach((button) => (button.disabled = false)));
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    const { target } = event;
    if (!this.isOpen || this.element.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || (target instanceof HTMLElement && target.matches("input, select"))) return;
    const item = this.items[this.at]!;
    const actions: Record<string, () => void> = {
      n: () => this.step(1),
      p: () => this.step(-1),
      e: () => this.events.edit(item),
      Escape: () => this.close(),
      Delete: () => item.kind !== "gone" && this.act(this.events.leaveOut),
      Enter: () => this.act(this.events.accept),
    };
    // A button that has the focus takes Enter itself.
    const isTaken = event.key === "Enter" && target instanceof HTMLElement && target.matches("button, a, summary");
    const action = isTaken ? undefined : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
}

const ACCEPT: Record<Item["kind"], string> = { carried: "Confirm", proposed: "Accept", gone: "It is gone" };

/** What it was in the survey before, where that is more than itself. */
function madeOf(item: Item): string {
  if (item.kind !== "proposed" || item.was || !item.proposal.was.length) return "";
  const names = item.proposal.was.join(", ");
  return item.change === "split" ? `A part of what was ${names}. ` : `Made of what was ${names}. `;
}

function confidence(share: number, reasons: readonly string[]): HTMLElement {
  const words = `Confidence ${number(100 * share)} %`;
  return h("div", { class: "confidence" },
    h("div", { class: "label-s" }, words), h("meter", { min: 0, max: 1, low: 0.4, high: 0.7, optimum: 1, value: share, "aria-label": words }),
    h("ul", {}, ...reasons.map((reason) => h("li", {}, icon("check"), reason))));
}
