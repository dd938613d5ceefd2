/** Words that stand at places of the scene; where there is no room for all, the nearer ones win. */

import { Vector2, Vector3 } from "three";
import { boxAbove, Room } from "../lib/boxes";
import { h } from "../lib/dom";
import type { Local } from "../lib/frame";
import type { Scene } from "./scene";

interface Item {
  place: Vector3;
  element: HTMLElement;
  /** Shown whatever others there are, such as what is being measured. */
  isFirst: boolean;
  /** Width and height in pixels, once it was drawn. */
  size: [number, number] | null;
  isLeftOut: boolean;
}

export class Labels {
  readonly element = h("div", { class: "labels" });
  private readonly items = new Map<string, Item>();
  private preferred = "";

  constructor(private readonly scene: Scene) {
    scene.onFrame(this.update);
    // Words do not stop the wheel: it zooms to what lies under them.
    this.element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        scene.canvas.dispatchEvent(new WheelEvent(event.type, event));
      },
      { passive: false },
    );
  }

  /** Show an element at a place; the same key replaces the former one. */
  set(key: string, place: Local, element: HTMLElement, isFirst = false): void {
    this.remove(key);
    element.classList.add("label");
    this.items.set(key, { place: new Vector3(...place), element, isFirst, size: null, isLeftOut: false });
    this.element.append(element);
    this.scene.invalidate();
  }

  /** Leave a label out for a while. */
  setVisible(key: string, isVisible: boolean): void {
    const item = this.items.get(key);
    if (item) item.isLeftOut = !isVisible;
    this.scene.invalidate();
  }

  /** Give one label room before the others. */
  prefer(key: string): void {
    this.preferred = key;
    this.scene.invalidate();
  }

  remove(key: string): void {
    this.items.get(key)?.element.remove();
    this.items.delete(key);
  }

  private readonly update = (): void => {
    const { position } = this.scene.camera;
    const preferred = this.items.get(this.preferred);
    const rank = (item: Item): number => 2 * Number(item.isFirst) + Number(item === preferred);
    const near = [...this.items.values()].sort(
      (a, b) => rank(b) - rank(a) || a.place.distanceTo(position) - b.place.distanceTo(position),
    );
    const room = new Room();
    for (const item of near) {
      const pixel = item.isLeftOut ? null : this.scene.toScreen(item.place, new Vector2());
      item.element.hidden = !pixel;
      if (!pixel) continue;
      item.size ??= [item.element.offsetWidth, item.element.offsetHeight];
      const [width] = item.size;
      // What is being measured is read whole, also at the edge of the picture.
      const furthest = Math.max(0, this.scene.canvas.clientWidth - width / 2);
      const box = boxAbove(item.isFirst ? Math.min(Math.max(pixel.x, width / 2), furthest) : pixel.x, pixel.y, item.size);
      item.element.style.visibility = room.take(box) ? "" : "hidden";
      item.element.style.transform = `translate(${box[0].toFixed(1)}px, ${box[1].toFixed(1)}px)`;
    }
  };
}
