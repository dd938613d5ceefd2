/** The point cloud, as far as a bounded number of points goes. */

import { Copc, Hierarchy } from "copc";
import { createLazPerf } from "laz-perf";
import lazPerfAddress from "laz-perf/lib/web/laz-perf.wasm?url";
import { BufferAttribute, BufferGeometry, Group, Matrix4, Points, PointsMaterial, SRGBColorSpace, Color } from "three";
import type { Position } from "../lib/api";
import { linearised } from "../lib/frame";
import type { Context } from "./grounds";

// 16 bytes a point: a tablet's memory holds this many with the model beside them.
const POINT_BUDGET = 1_500_000;
const ATTRIBUTES = ["X", "Y", "Z", "Red", "Green", "Blue"] as const;

type LazPerf = Awaited<ReturnType<typeof createLazPerf>>;

export class PointCloud {
  private readonly group = new Group();
  private readonly material = new PointsMaterial({ size: 2, sizeAttenuation: false, vertexColors: true });

  private constructor(
    private readonly context: Context,
    private readonly url: string,
  ) {
    this.material.size = 2 * context.scene.renderer.getPixelRatio();
    context.scene.graph.add(this.group);
  }

  /** Open the cloud and begin to load it, coarse points first. */
  static async open(context: Context): Promise<PointCloud> {
    const { survey } = context;
    if (!survey.point_cloud_url) throw new Error("This survey has no point cloud.");
    const cloud = new PointCloud(context, new URL(survey.point_cloud_url, location.href).href);
    const copc = await Copc.create(cloud.url);
    const decoder = await createLazPerf({ locateFile: () => lazPerfAddress });
    void cloud.load(copc, decoder);
    return cloud;
  }

  get isVisible(): boolean {
    return this.group.visible;
  }

  set isVisible(value: boolean) {
    this.group.visible = value;
    this.context.scene.invalidate();
  }

  dispose(): void {
    this.context.scene.graph.remove(this.group);
    this.group.children.forEach((child) => (child as Points).geometry.dispose());
    this.material.dispose();
  }

  private async load(copc: Copc, decoder: LazPerf): Promise<void> {
    const { nodes } = await Copc.loadHierarchyPage(this.url, copc.info.rootHierarchyPage);
    const byLevel = Object.entries(nodes)
      .flatMap(([key, node]) => (node && node.pointCount > 0 ? [{ level: Number(key.split("-")[0]), node }] : []))
      .sort((a, b) => a.level - b.level);
    let points = 0;
    for (const { node } of byLevel) {
      points += node.pointCount;
      if (points > POINT_BUDGET) break;
      await this.addNode(copc, node, decoder);
    }
  }

  private async addNode(copc: Copc, node: Hierarchy.Node, lazPerf: LazPerf): Promise<void> {
    const view = await Copc.loadPointDataView(this.url, copc, node, { lazPerf, include: [...ATTRIBUTES] });
    const [x, y, z, red, green, blue] = ATTRIBUTES.map((name) => view.getter(name)) as Getter[];
    const origin: Position = [x!(0), y!(0), z!(0)];
    const places = new Float32Array(view.pointCount * 3);
    const colours = new Uint8Array(view.pointCount * 3);
    const colour = new Color();
    for (let i = 0; i < view.pointCount; i += 1) {
      places.set([x!(i) - origin[0], y!(i) - origin[1], z!(i) - origin[2]], 3 * i);
      colour.setRGB(red!(i) / 65535, green!(i) / 65535, blue!(i) / 65535, SRGBColorSpace);
      colours.set([colour.r * 255, colour.g * 255, colour.b * 255], 3 * i);
    }
    const geometry = new BufferGeometry()
      .setAttribute("position", new BufferAttribute(places, 3))
      .setAttribute("color", new BufferAttribute(colours, 3, true));
    const part = new Points(geometry, this.material);
    part.raycast = () => undefined;
    part.applyMatrix4(new Matrix4().fromArray(linearised(this.context.frame, origin)));
    this.group.add(part);
    this.context.scene.invalidate();
  }
}

type Getter = (index: number) => number;
