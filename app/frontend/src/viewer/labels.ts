/** Words that stand at places of the scene. */

import { Vector2, Vector3 } from "three";
import { h } from "../lib/dom";
import type { Local } from "../lib/frame";
import type { Scene } from "./scene";

export class Labels {
  readonly element = h("div", { class: "labels" });
  private readonly items = new Map<string, { place: Vector3; element: HTMLElement }>();

  constructor(private readonly scene: Scene) {
    scene.onFrame(this.update);
  }

  /** Show an element at a place; the same key replaces the former one. */
  set(key: string, place: Local, element: HTMLElement): void {
    this.remove(key);
    element.classList.add("label");
    this.items.set(key, { place: new Vector3(...place), element });
    this.element.append(element);
    this.scene.invalidate();
  }

  /** Leave a label out for a while. */
  setVisible(key: string, isVisible: boolean): void {
    this.items.get(key)?.element.classList.toggle("is-left-out", !isVisible);
  }

  remove(key: string): void {
    this.items.get(key)?.element.remove();
    this.items.delete(key);
  }

  private readonly update = (): void => {
    const pixel = new Vector2();
    for (const { place, element } of this.items.values()) {
      const found = this.scene.toScreen(place, pixel);
      element.hidden = !found;
      if (found) element.style.transform = `translate(-50%, -100%) translate(${found.x.toFixed(1)}px, ${found.y.toFixed(1)}px)`;
    }
  };
}
