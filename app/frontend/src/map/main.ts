/** The page of a survey as a map. */

import "maplibre-gl/dist/maplibre-gl.css";
import "../viewer/viewer.css";
import "./map.css";
import { apiOf, wordsOf } from "../lib/api";
import { h, required, useIcons } from "../lib/dom";
import { open } from "./map";

const root = required<HTMLElement>("#map");
useIcons(root.dataset["icons"]);
void start();

async function start(): Promise<void> {
  const curtain = h("div", { class: "curtain", role: "status" }, h("div", { class: "spinner" }), h("p", {}, "Loading the map…"));
  root.replaceChildren(h("div", { class: "stage" }, curtain), h("aside", { class: "panel", "aria-label": "Piles" }));
  try {
    await open(root, apiOf(root), root.dataset["survey"] ?? "");
  } catch (error) {
    const retry = h("button", { type: "button", class: "button primary", onclick: () => void start() }, "Try again");
    const words = h("p", { role: "alert" }, `The map cannot be shown. ${wordsOf(error)}`);
    root.replaceChildren(h("div", { class: "stage" }, h("div", { class: "curtain" }, words, retry)), h("aside", { class: "panel" }));
    throw error;
  }
}
