/** Where the photos were taken. */

import { type BufferGeometry, Float32BufferAttribute, Points, PointsMaterial, BufferGeometry as Geometry, LineSegments, LineBasicMaterial, Group } from "three";
import type { Position } from "../lib/api";
import type { Frame, Local } from "../lib/frame";
import type { Scene } from "./scene";

const ARROW_M = 3;

interface Cameras {
  features: { geometry: { coordinates: number[] } | null; properties: { registered: boolean; looks_along?: Local } }[];
}

export class CameraLayer {
  private readonly group = new Group();

  private constructor(
    private readonly scene: Scene,
    places: readonly Local[],
    arrows: readonly Local[],
  ) {
    const points = new Points(geometryOf(places), new PointsMaterial({ size: 7 * scene.renderer.getPixelRatio(), sizeAttenuation: false, color: 0xffd166 }));
    const lines = new LineSegments(geometryOf(arrows), new LineBasicMaterial({ color: 0xffd166, transparent: true, opacity: 0.7 }));
    points.raycast = lines.raycast = () => undefined;
    this.group.add(points, lines);
    scene.graph.add(this.group);
    scene.invalidate();
  }

  static async load(scene: Scene, frame: Frame, url: string): Promise<CameraLayer> {
    const answer = await fetch(url, { credentials: "same-origin" });
    if (!answer.ok) throw new Error("The camera positions cannot be loaded. Try again later.");
    const { features } = (await answer.json()) as Cameras;
    const seen = features.filter(({ geometry, properties }) => geometry && properties.registered);
    const places = seen.map(({ geometry }) => frame.toLocal(geometry!.coordinates.slice(0, 3) as Position));
    const arrows = seen.flatMap(({ properties }, i): Local[] => {
      const [place, along] = [places[i]!, properties.looks_along];
      return along ? [place, [place[0] + ARROW_M * along[0], place[1] + ARROW_M * along[1], place[2] + ARROW_M * along[2]]] : [];
    });
    return new CameraLayer(scene, places, arrows);
  }

  dispose(): void {
    this.scene.graph.remove(this.group);
    for (const child of this.group.children as (Points | LineSegments)[]) {
      child.geometry.dispose();
      (child.material as PointsMaterial).dispose();
    }
    this.scene.invalidate();
  }
}

function geometryOf(places: readonly Local[]): BufferGeometry {
  return new Geometry().setAttribute("position", new Float32BufferAttribute(places.flat(), 3));
}
