/** Elements in one expression, without a framework. */

type Child = Node | string | null | undefined | false;
type Handler = (event: never) => void;
type Value = string | number | boolean | null | undefined | Handler;

/** An element: `on…` functions become listeners, `false` and `null` leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value as EventListener);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

let sprite = "/static/icons.svg";

/** Say where the sprite of icons lies. */
export function useIcons(address: string | undefined): void {
  sprite = address ?? sprite;
}

/** An icon of the sprite; it is decoration, so the control beside it has the words. */
export function icon(name: string): SVGElement {
  const picture = svg("svg", { class: "icon", "aria-hidden": "true" });
  picture.append(svg("use", { href: `${sprite}#${name}` }));
  return picture;
}

/** An element of a drawing. */
export function svg(
  tag: string,
  attributes: Record<string, string | number>,
  ...children: (Node | string)[]
): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A button with an icon, and words that are seen as a tooltip and read aloud. */
export function iconButton(
  name: string,
  label: string,
  onclick: () => void,
  attributes: Record<string, Value> = {},
): HTMLButtonElement {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, "data-tip": label, onclick, ...attributes },
    icon(name),
  );
}

/** A link with an icon that looks like the buttons beside it. */
export function iconLink(name: string, label: string, href: string): HTMLAnchorElement {
  return h("a", { class: "icon-button", href, "aria-label": label, "data-tip": label }, icon(name));
}

/** The element with a selector; its absence is a fault of the page. */
export function required<T extends Element>(selector: string, within: ParentNode = document): T {
  const found = within.querySelector<T>(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}
