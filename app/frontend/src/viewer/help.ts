/** The keys and gestures, over the page. */

import { h, iconButton } from "../lib/dom";

const SECTIONS: [string, [string, string][]][] = [
  ["View", [
    ["Drag / one finger", "Move"],
    ["Right drag / two fingers", "Turn and tilt"],
    ["Wheel / pinch", "Zoom to the pointer"],
    ["Arrows", "Move; with Shift turn and tilt"],
    ["+ and −", "Zoom"],
    ["H", "Whole survey"],
    ["T", "From above"],
  ]],
  ["Draw a pile", [
    ["D", "New pile"],
    ["Click / Space", "Vertex under the pointer / in the middle of the view"],
    ["Enter", "Close the toe, then save"],
    ["Drag a vertex", "Move it; press on an edge for a new one"],
    ["N and P", "Select the next or previous vertex"],
    ["Arrows", "Move the selected vertex 10 cm, with Shift 1 m"],
    ["I, Del, W", "Insert after it, delete it, wall after it"],
    ["Ctrl+Z, Ctrl+Y", "Undo, redo"],
    ["Esc", "Deselect, then discard"],
  ]],
  ["Review", [
    ["R", "Go through what nobody confirmed"],
    ["Enter", "Confirm or accept it"],
    ["E", "Edit its line first"],
    ["Del", "Leave it out"],
    ["N and P", "Next, previous"],
    ["Esc", "Back to the list"],
  ]],
  ["Measure", [
    ["M", "Distance"],
    ["S", "Cross-section"],
    ["A", "Area"],
    ["Enter or double click", "Finish"],
    ["Esc", "Leave"],
  ]],
];

/** A dialog that `showModal` opens. */
export function helpDialog(): HTMLDialogElement {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "help-title" });
  const sections = SECTIONS.map(([title, rows]) =>
    h("section", {}, h("h3", {}, title), h("dl", { class: "keys" }, ...rows.map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, words))))),
  );
  dialog.append(
    h("header", { class: "panel-header" }, h("h2", { id: "help-title", class: "panel-title" }, "Keys and gestures"), iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "help-sections" }, ...sections),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
