/** The ground of a survey in its skins: textured model, shaded surface, point cloud. */

import { Box3, Vector3 } from "three";
import type { Api, Survey } from "../lib/api";
import type { Frame } from "../lib/frame";
import { Hillshade } from "./hillshade";
import type { Decoder } from "./draco";
import { Model } from "./model";
import type { PointCloud } from "./point_cloud";
import type { Scene } from "./scene";
import type { Shading } from "./shading";
import type { Surface } from "./surface";

export type Skin = "model" | "points" | "hillshade";

export interface Context {
  scene: Scene;
  shading: Shading;
  decoder: Decoder;
  api: Api;
  survey: Survey;
  frame: Frame;
  /** From the local frame to Earth-centred coordinates, column by column. */
  earth: readonly number[];
}

/** Whichever skin is shown, places are those of the textured model where there is one. */
export class Grounds implements Surface {
  private hillshade: Hillshade | null = null;
  private points: PointCloud | null = null;
  private readonly changed = new Set<() => void>();

  private constructor(
    private readonly context: Context,
    readonly model: Model | null,
  ) {
    model?.onChange(() => this.changed.forEach((callback) => callback()));
  }

  static async open(context: Context): Promise<Grounds> {
    const { scene, shading, decoder, survey, earth } = context;
    if (survey.model_url) {
      const model = new Model(scene, shading, decoder, survey.model_url, earth);
      await model.firstTile();
      return new Grounds(context, model);
    }
    const grounds = new Grounds(context, null);
    await grounds.wear("hillshade");
    return grounds;
  }

  extent(): Box3 {
    return this.model?.extent() ?? this.hillshade?.extent() ?? new Box3();
  }

  onChange(callback: () => void): void {
    this.changed.add(callback);
  }

  pick(x: number, y: number): Vector3 | null {
    return (this.model ?? this.hillshade)?.pick(x, y) ?? null;
  }

  readonly heightAt = (x: number, y: number): number | null => (this.model ?? this.hillshade)?.heightAt(x, y) ?? null;

  /** Show one of the skins; the first time it is loaded. */
  async wear(skin: Skin): Promise<void> {
    const { context } = this;
    if (skin === "hillshade") this.hillshade ??= await Hillshade.load(context);
    if (skin === "points") this.points ??= await openCloud(context);
    if (this.model) this.model.isVisible = skin === "model";
    if (this.hillshade) this.hillshade.mesh.visible = skin === "hillshade";
    if (this.points) this.points.isVisible = skin === "points";
    context.scene.invalidate();
  }
}

/** Its decoder is large and seldom needed, so it is loaded when it is. */
async function openCloud(context: Context): Promise<PointCloud> {
  const { PointCloud } = await import("./point_cloud");
  return PointCloud.open(context);
}
