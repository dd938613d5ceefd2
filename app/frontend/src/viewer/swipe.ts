/** Two dates of a site in one view, with a divider to move. */

import { Divider } from "../lib/divider";
import type { Decoder } from "./draco";
import { Model } from "./model";
import type { Scene } from "./scene";
import type { Shading } from "./shading";

export class Swipe {
  private readonly before: Model;
  private readonly divider: Divider;

  constructor(
    stage: HTMLElement,
    private readonly scene: Scene,
    shading: Shading,
    decoder: Decoder,
    now: Model,
    url: string,
    dates: readonly [string, string],
  ) {
    this.before = new Model(scene, shading, decoder, url, now.earth);
    this.divider = new Divider(stage, dates, () => this.place());
    scene.split = {
      share: this.divider.share,
      show: (side) => {
        this.before.tiles.group.visible = side === "left";
        now.tiles.group.visible = side === "right";
      },
      restore: () => {
        this.before.tiles.group.visible = now.tiles.group.visible = true;
      },
    };
    this.place();
  }

  dispose(): void {
    this.scene.split = null;
    this.divider.dispose();
    this.before.dispose();
    this.scene.invalidate();
  }

  private place(): void {
    if (this.scene.split && this.divider) this.scene.split.share = this.divider.share;
    this.scene.invalidate();
  }
}
