/** The textured model: tiles that stream as the camera asks for them. */

import { TilesRenderer } from "3d-tiles-renderer/three";
import { GLTFExtensionsPlugin } from "3d-tiles-renderer/three/plugins";
import { Box3, Matrix4, Mesh, type MeshBasicMaterial, type Object3D, Vector3 } from "three";
import type { Decoder } from "./draco";
import type { Scene } from "./scene";
import type { Shading } from "./shading";
import { nearestHit, useTree } from "./surface";
import type { Surface } from "./surface";

export class Model implements Surface {
  readonly tiles: TilesRenderer;
  private readonly changed = new Set<() => void>();
  private readonly stopUpdates: () => void;

  constructor(
    private readonly scene: Scene,
    private readonly shading: Shading,
    decoder: Decoder,
    url: string,
    /** From the local frame to Earth-centred coordinates, column by column. */
    readonly earth: readonly number[],
  ) {
    const toLocal = new Matrix4().fromArray([...earth]).invert();
    this.tiles = new TilesRenderer(url);
    this.tiles.registerPlugin(new GLTFExtensionsPlugin({ dracoLoader: decoder.loader, autoDispose: false }));
    // 3D Tiles are fetched from our own origin, so the session's cookie has to go along.
    this.tiles.fetchOptions = { credentials: "same-origin" };
    this.tiles.errorTarget = 12;
    this.tiles.group.applyMatrix4(toLocal);
    this.tiles.setCamera(scene.camera);
    this.tiles.addEventListener("load-model", ({ scene: part }: { scene: Object3D }) => this.prepare(part));
    for (const event of ["needs-update", "needs-render", "load-root-tileset", "tiles-load-end"]) {
      this.tiles.addEventListener(event, scene.invalidate);
    }
    this.tiles.addEventListener("tile-visibility-change", this.notify);
    scene.graph.add(this.tiles.group);
    this.stopUpdates = scene.onFrame(this.update);
    scene.invalidate();
  }

  get isVisible(): boolean {
    return this.tiles.group.visible;
  }

  set isVisible(value: boolean) {
    this.tiles.group.visible = value;
    this.scene.invalidate();
  }

  /** Call something when other tiles are shown. */
  onChange(callback: () => void): void {
    this.changed.add(callback);
  }

  /** Wait for the first tile; a missing model is an error. */
  firstTile(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tiles.addEventListener("load-model", () => resolve());
      this.tiles.addEventListener("load-error", ({ error }: { error: Error }) => reject(error));
    });
  }

  /** Box of the whole model in local coordinates. */
  extent(): Box3 {
    const box = new Box3();
    const turn = new Matrix4();
    this.tiles.getOrientedBoundingBox(box, turn);
    return box.applyMatrix4(turn.premultiply(this.tiles.group.matrixWorld));
  }

  pick(x: number, y: number): Vector3 | null {
    return nearestHit(this.scene.rayAt(x, y), this.tiles.group);
  }

  readonly heightAt = (x: number, y: number): number | null => {
    return nearestHit({ origin: new Vector3(x, y, 5000), direction: new Vector3(0, 0, -1) }, this.tiles.group)?.z ?? null;
  };

  dispose(): void {
    this.stopUpdates();
    this.scene.graph.remove(this.tiles.group);
    this.tiles.dispose();
  }

  private readonly update = (): void => {
    this.scene.camera.updateMatrixWorld();
    this.tiles.setResolutionFromRenderer(this.scene.camera, this.scene.renderer);
    this.tiles.update();
  };

  private readonly notify = (): void => {
    for (const callback of this.changed) callback();
  };

  private prepare(part: Object3D): void {
    const sharpness = Math.min(8, this.scene.renderer.capabilities.getMaxAnisotropy());
    part.traverse((object) => {
      if (!(object instanceof Mesh)) return;
      useTree(object);
      const material = object.material as MeshBasicMaterial;
      if (material.map) material.map.anisotropy = sharpness;
      this.shading.apply(material);
    });
    this.scene.invalidate();
  }
}
