/** A divider over a picture that shows two dates, to be moved by mouse, finger or arrow keys. */

import { h, icon } from "./dom";

const KEY_STEP = 0.02;

export class Divider {
  private readonly handle: HTMLButtonElement;
  private readonly words: HTMLElement[];
  share = 0.5;

  constructor(
    stage: HTMLElement,
    labels: readonly [string, string],
    private readonly onMove: () => void,
  ) {
    this.handle = h("button", { type: "button", class: "divider", role: "slider", "aria-label": "Divider between the dates", "aria-valuemin": 0, "aria-valuemax": 100 }, icon("compare"));
    this.words = labels.map((label) => h("div", { class: "swipe-date" }, label));
    this.handle.addEventListener("pointerdown", ({ pointerId }) => this.handle.setPointerCapture(pointerId));
    this.handle.addEventListener("pointermove", (event) => {
      if (this.handle.hasPointerCapture(event.pointerId)) this.moveTo((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
    });
    this.handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -KEY_STEP, ArrowRight: KEY_STEP }[event.key];
      if (!step) return;
      event.preventDefault();
      this.moveTo(this.share + step);
    });
    stage.append(this.handle, ...this.words);
    this.moveTo(0.5);
  }

  dispose(): void {
    this.handle.remove();
    this.words.forEach((word) => word.remove());
  }

  private moveTo(share: number): void {
    this.share = Math.min(0.98, Math.max(0.02, share));
    const percent = (100 * this.share).toFixed(2);
    this.handle.style.left = `${percent}%`;
    this.handle.setAttribute("aria-valuenow", String(Math.round(100 * this.share)));
    this.words[0]!.style.right = `calc(${(100 - 100 * this.share).toFixed(2)}% + 12px)`;
    this.words[1]!.style.left = `calc(${percent}% + 12px)`;
    this.onMove();
  }
}
