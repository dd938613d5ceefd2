/** The panel of a survey: its piles, what they add up to, and the toes that are proposed. */

import type { Proposal, SavedToe, Survey } from "../lib/api";
import { h, icon, iconButton } from "../lib/dom";
import { day, number, volume, volumeUnit } from "../lib/format";

export interface PileListEvents {
  draw: () => void;
  open: (toe: SavedToe) => void;
  focus: (id: string) => void;
  accept: (proposal: Proposal) => void;
  dismiss: (proposal: Proposal) => void;
}

export class PileList {
  readonly element: HTMLElement;
  private readonly body = h("div", { class: "panel-body" });

  constructor(
    private readonly survey: Survey,
    private readonly events: PileListEvents,
  ) {
    const draw = h("button", { type: "button", class: "button primary wide", onclick: events.draw }, icon("draw"), "Draw a pile");
    this.element = h("div", { class: "pile-list" },
      h("header", { class: "panel-header" }, h("div", {}, h("h2", { class: "panel-title" }, "Piles"), h("p", { class: "muted" }, `${survey.name}, ${day(survey.flown_on)}`))),
      this.body,
      survey.can_edit && h("footer", { class: "panel-footer" }, draw),
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

  show(toes: readonly SavedToe[], proposals: readonly Proposal[]): void {
    const parts: (HTMLElement | null)[] = [
      toes.length ? this.total(toes) : this.empty(proposals.length),
      toes.length ? h("ul", { class: "rows", "aria-label": "Piles" }, ...toes.map((toe) => this.row(toe))) : null,
      proposals.length ? h("h3", { class: "section" }, `Proposed toes (${proposals.length})`) : null,
      proposals.length ? h("ul", { class: "rows" }, ...proposals.map((proposal, i) => this.proposal(proposal, i))) : null,
    ];
    this.body.replaceChildren(...parts.filter((part) => part !== null));
  }

  private total(toes: readonly SavedToe[]): HTMLElement {
    const { factor, name } = volumeUnit(this.survey);
    const sum = toes.reduce((net, toe) => net + (toe.volume?.net_m3 ?? 0), 0);
    return h("p", { class: "total" }, h("span", {}, `${toes.length} ${toes.length === 1 ? "pile" : "piles"}`), h("strong", {}, `${number(sum / factor)} ${name}`));
  }

  private empty(proposals: number): HTMLElement {
    const words = !this.survey.can_edit
      ? "Nobody has drawn a pile in this survey yet."
      : proposals
        ? "Accept a proposed toe below, or draw a pile along its foot."
        : "Choose “Draw a pile” and click along the foot of a pile on the model; its volume appears at once.";
    return h("div", { class: "empty" }, icon("draw"), h("h3", {}, "No piles yet"), h("p", {}, words));
  }

  private row(toe: SavedToe): HTMLElement {
    const amount = toe.volume ? volume(toe.volume.net_m3, toe.volume.net_u95_m3, this.survey) : "not measured";
    return h("li", { class: "row" },
      h("button", { type: "button", class: "row-main", onclick: () => this.events.focus(toe.id), title: `Drawn by ${toe.drawn_by}, ${day(toe.drawn_at)}` },
        h("span", { class: "row-name" }, toe.name, !toe.is_confirmed && h("span", { class: "badge warn" }, "to review")),
        h("span", { class: "row-value" }, amount)),
      this.survey.can_edit && iconButton("edit", `Edit ${toe.name}`, () => this.events.open(toe)),
    );
  }

  private proposal(proposal: Proposal, index: number): HTMLElement {
    const name = proposal.name ?? `Proposal ${index + 1}`;
    return h("li", { class: "row" },
      h("button", { type: "button", class: "row-main", title: proposal.reasons.join("; "), onclick: () => this.events.focus(`proposal-${index}`) },
        h("span", { class: "row-name" }, name, h("span", { class: "badge" }, proposal.change)),
        h("span", { class: "row-value muted" }, `confidence ${number(100 * proposal.confidence)} %`)),
      this.survey.can_edit && iconButton("check", `Accept ${name}`, () => this.events.accept(proposal)),
      this.survey.can_edit && iconButton("close", `Leave out ${name}`, () => this.events.dismiss(proposal)),
    );
  }
}
