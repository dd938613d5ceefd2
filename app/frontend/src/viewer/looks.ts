/** What of the survey is shown, and how: skins, colours, cameras, another date. */

import { type Api, type Bounds, type Survey, wordsOf } from "../lib/api";
import { h } from "../lib/dom";
import { day } from "../lib/format";
import type { Frame } from "../lib/frame";
import { CameraLayer } from "./camera_layer";
import type { Grounds, Skin } from "./grounds";
import type { Hud } from "./hud";
import type { Decoder } from "./draco";
import { otherDate } from "./other_date";
import type { Scene } from "./scene";
import { CHANGE_RAMP, type Shading } from "./shading";
import { Swipe } from "./swipe";
import { checkbox, menu, radios } from "./toolbar";

const GRID_CELLS = 768;

interface Context {
  stage: HTMLElement;
  scene: Scene;
  shading: Shading;
  decoder: Decoder;
  api: Api;
  survey: Survey;
  frame: Frame;
  grounds: Grounds;
  hud: Hud;
}

export class Looks {
  readonly menu: HTMLElement;
  private showsChange = false;
  private cameras: CameraLayer | null = null;
  private swipe: Swipe | null = null;

  constructor(private readonly context: Context) {
    const { survey } = context;
    const hasPrevious = survey.previous_id !== null;
    const skins = radios("Surface", "skin", [
      { value: "model", label: survey.orthomosaic_url ? "Photos on the model" : "Heights on the model", isDisabled: !survey.model_url },
      { value: "points", label: "Point cloud", isDisabled: !survey.point_cloud_url },
      { value: "hillshade", label: "Shaded, without photos" },
    ], survey.model_url ? "model" : "hillshade", (skin) => void this.tell(context.grounds.wear(skin as Skin)));
    const colours = radios("Colours", "colours", [
      { value: "none", label: "As they are" },
      { value: "change", label: "Change since the survey before", isDisabled: !hasPrevious },
    ], "none", (choice) => {
      this.showsChange = choice === "change";
      this.restore();
    });
    const more = h("fieldset", {}, h("legend", {}, "Also show"),
      checkbox("Camera positions", false, (isOn) => void this.tell(this.showCameras(isOn))));
    const dates = hasPrevious ? [otherDate(context.api, survey, (id) => void this.tell(this.compare(id)))] : [];
    this.menu = menu("layers", "Layers and colours", [skins, colours, more, ...dates]);
  }

  /** The chosen colours again, after another tool had its own. */
  restore(): void {
    const { shading, hud, scene } = this.context;
    shading.clear();
    hud.explain("", null);
    scene.invalidate();
    if (this.showsChange) void this.tell(this.showChange());
  }

  /** Do something that may fail, and say so. */
  private async tell(action: Promise<void>): Promise<void> {
    try {
      await action;
    } catch (error) {
      this.context.hud.say(wordsOf(error));
    }
  }

  private async showChange(): Promise<void> {
    const { api, survey, frame, shading, hud, scene } = this.context;
    const grid = await api.grid(survey.id, survey.bounds, GRID_CELLS, survey.previous_id);
    if (!this.showsChange) return;
    const limit = limitOf(grid.values, survey.units.per_m);
    const [west, south] = corner(survey.bounds, grid.rows * grid.cell_size_m, grid.north_m, grid.west_m, frame);
    shading.byGrid(grid, west, south, limit);
    hud.explain("Change since the survey before", CHANGE_RAMP, [-limit, limit], [" lower", " higher"]);
    scene.invalidate();
  }

  private async showCameras(isOn: boolean): Promise<void> {
    const { survey, scene, frame } = this.context;
    this.cameras?.dispose();
    this.cameras = isOn && survey.cameras_url ? await CameraLayer.load(scene, frame, survey.cameras_url) : null;
  }

  private async compare(id: string | null): Promise<void> {
    const { api, survey, stage, scene, shading, decoder, grounds } = this.context;
    this.swipe?.dispose();
    this.swipe = null;
    if (!id || !grounds.model) return;
    const earlier = await api.survey(id);
    if (!earlier.model_url) throw new Error("That survey has no model to compare with.");
    this.swipe = new Swipe(stage, scene, shading, decoder, grounds.model, earlier.model_url, [day(earlier.flown_on), day(survey.flown_on)]);
  }
}

/** A range in metres that holds 98 of 100 differences, so that a few wild cells do not wash out the others; round as read. */
export function limitOf(values: Float32Array, per_m: number): number {
  const sizes = values.filter(Number.isFinite).map(Math.abs).sort();
  const most_m = sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 1;
  return Math.max(0.1, Number((most_m * per_m).toPrecision(2))) / per_m;
}

/** South-west corner of a grid in local coordinates: the frame is turned to grid north. */
function corner(bounds: Bounds, height_m: number, north_m: number, west_m: number, frame: Frame): [number, number] {
  const middle: [number, number] = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2];
  const [, , z] = frame.toMap([0, 0, 0]);
  const [x, y] = frame.toLocal([middle[0], middle[1], z]);
  return [x + west_m - middle[0], y + north_m - height_m - middle[1]];
}
