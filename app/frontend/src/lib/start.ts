/** The begin of a page that a survey fills: a curtain while it loads, and what to do where it cannot be shown. */

import { type Api, apiOf, wordsOf } from "./api";
import { h, useIcons } from "./dom";

/** Open a survey in an element; `what` is shown there, such as “map”. */
export async function start(root: HTMLElement, what: string, open: (root: HTMLElement, api: Api, survey: string) => Promise<void>): Promise<void> {
  useIcons(root.dataset["icons"]);
  show(root, h("div", { class: "curtain", role: "status" }, h("div", { class: "spinner" }), h("p", {}, `Loading the ${what}…`)));
  try {
    await open(root, apiOf(root), root.dataset["survey"] ?? "");
  } catch (error) {
    const retry = h("button", { type: "button", class: "button primary", onclick: () => void start(root, what, open) }, "Try again");
    show(root, h("div", { class: "curtain" }, h("p", { role: "alert" }, `The ${what} cannot be shown. ${wordsOf(error)}`), retry));
    throw error;
  }
}

function show(root: HTMLElement, curtain: HTMLElement): void {
  root.replaceChildren(h("div", { class: "stage" }, curtain), h("aside", { class: "panel", "aria-label": "Piles" }));
}
