/** The buttons beside the picture; above it where the screen is small. */

import { h, icon, iconButton } from "../lib/dom";

export interface Tool {
  icon: string;
  label: string;
  run: () => void;
}

/** Groups of buttons. */
export function toolbar(groups: readonly (readonly (Tool | HTMLElement)[])[]): HTMLElement {
  return h("div", { class: "toolbar", role: "toolbar", "aria-label": "Tools" },
    ...groups.map((tools) => h("div", { class: "group" },
      ...tools.map((tool) => (tool instanceof HTMLElement ? tool : iconButton(tool.icon, tool.label, tool.run))))));
}

export interface Choice {
  value: string;
  label: string;
  isDisabled?: boolean;
}

/** A button that opens a menu of choices beside it; closed by Esc or a click elsewhere. */
export function menu(name: string, label: string, content: readonly HTMLElement[]): HTMLElement {
  const panel = h("div", { class: "menu", popover: "auto", id: `menu-${name}`, role: "dialog", "aria-label": label }, ...content);
  const button = h("button", { type: "button", class: "icon-button", "aria-label": label, "data-tip": label, popovertarget: panel.id }, icon(name));
  panel.addEventListener("toggle", () => {
    const box = button.getBoundingClientRect();
    const furthest = [window.innerWidth - panel.offsetWidth - 12, window.innerHeight - panel.offsetHeight - 12] as const;
    const isBeside = box.right + 10 <= furthest[0];
    panel.style.left = `${isBeside ? box.right + 10 : furthest[0]}px`;
    panel.style.top = `${Math.max(12, Math.min(isBeside ? box.top : box.bottom + 8, furthest[1]))}px`;
  });
  return h("div", { class: "menu-anchor" }, button, panel);
}

/** One of several, as radio buttons. */
export function radios(title: string, name: string, choices: readonly Choice[], chosen: string, onChoose: (value: string) => void): HTMLFieldSetElement {
  return h("fieldset", {}, h("legend", {}, title),
    ...choices.map(({ value, label, isDisabled }) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen, disabled: isDisabled, onchange: () => onChoose(value) }), label)));
}

/** Something to show or not. */
export function checkbox(label: string, isChecked: boolean, onChange: (isChecked: boolean) => void): HTMLLabelElement {
  const input: HTMLInputElement = h("input", { type: "checkbox", checked: isChecked, onchange: () => onChange(input.checked) });
  return h("label", {}, input, label);
}
