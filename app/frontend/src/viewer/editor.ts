/** A pile while it is drawn: its toe, its name and base, and what the server says of its volume. */

import {
  type Api, type Material, type SavedToe, type Survey, type Toe, type ToeDraft, type Volume, type VolumeQuestion, wordsOf,
} from "../lib/api";
import type { Frame } from "../lib/frame";
import { Latest } from "../lib/latest";
import * as rings from "../lib/ring";
import { BaseLayer, localPlane } from "./base_layer";
import { type Draft, newDraft } from "./draft";
import { DraftForm } from "./draft_form";
import { toRing, toToe } from "./piles";
import type { Scene } from "./scene";
import type { Shading } from "./shading";
import type { Surface } from "./surface";
import { type Shape, ToeTool } from "./toe_tool";

export interface EditorEvents {
  open: (draft: Draft) => void;
  close: (saved: SavedToe | null) => void;
  say: (words: string) => void;
  height: (height_m: number | null) => void;
}

export class Editor {
  readonly form: DraftForm;
  readonly tool: ToeTool;
  private draft: Draft | null = null;
  private shape: Shape = { ring: rings.EMPTY, isClosed: false };
  private volume: Volume | null = null;
  private readonly layer: BaseLayer;
  private readonly live: Latest<VolumeQuestion, Volume>;

  constructor(
    scene: Scene,
    surface: Surface,
    private readonly frame: Frame,
    private readonly api: Api,
    private readonly survey: Survey,
    private readonly shading: Shading,
    private readonly events: EditorEvents,
    materials: readonly Material[],
  ) {
    this.layer = new BaseLayer(scene);
    this.tool = new ToeTool(scene, surface, {
      change: (shape, isMoving) => this.onShape(shape, isMoving),
      select: (index) => this.form.showSelection(index),
      cancel: () => this.cancel(),
      finish: () => this.form.submit(),
    });
    this.form = new DraftForm(survey, materials, {
      change: () => this.measure(),
      save: () => void this.save(),
      cancel: () => this.cancel(),
      remove: () => void this.remove(),
      snap: () => void this.snap(),
      undo: () => this.tool.undo(),
      redo: () => this.tool.redo(),
      deleteVertex: () => this.tool.deleteSelected(),
      close: () => this.tool.close(),
      walls: (isOn) => (this.tool.marksWalls = isOn),
      looks: () => this.paint(),
    });
    this.live = new Latest(
      (question, signal) => api.volume(survey.id, question, signal),
      (volume, _, elapsed_ms) => this.onVolume(volume, elapsed_ms),
      (error) => this.onRefusal(error),
    );
  }

  get isOpen(): boolean {
    return this.draft !== null;
  }

  /** Begin a new pile. */
  create(): void {
    this.begin(newDraft(), rings.EMPTY);
  }

  /** Open a pile that is saved, or something found as a new one. */
  edit(toe: Toe, draft: Draft): void {
    this.begin({ ...draft, holes: toe.coordinates.slice(1) }, toRing(toe, this.frame));
  }

  /** Close without saving; what was drawn meanwhile is not thrown away unasked. */
  cancel(): void {
    if (!this.isChanged || window.confirm("Discard what you have drawn?")) this.end(null);
  }

  /** Whether closing would lose anything. */
  get isChanged(): boolean {
    return this.draft !== null && this.tool.canUndo;
  }

  dispose(): void {
    this.live.cancel();
    this.tool.dispose();
    this.layer.dispose();
  }

  private begin(draft: Draft, ring: rings.Ring): void {
    this.draft = draft;
    this.volume = null;
    this.form.open(draft);
    this.events.open(draft);
    this.tool.start(ring);
  }

  private end(saved: SavedToe | null): void {
    this.live.cancel();
    this.draft = null;
    this.tool.stop();
    this.layer.hide();
    this.shading.clear();
    this.events.height(null);
    this.events.close(saved);
  }

  private onShape(shape: Shape, isMoving: boolean): void {
    this.shape = shape;
    this.form.showSteps(this.tool.canUndo, this.tool.canRedo);
    this.form.showShape(shape.ring.vertices.length, shape.isClosed, shape.ring.walls.length);
    if (!isMoving) this.form.showWalls(this.tool.marksWalls);
    if (this.draft && shape.isClosed) this.measure(isMoving);
    else this.clearVolume();
  }

  /** While a vertex moves the answer comes sooner, without a warning of what other bases find. */
  private measure(isMoving = false): void {
    const toe = this.toe();
    if (!toe) return;
    const crossed = rings.crossing(this.shape.ring.vertices);
    if (crossed) {
      this.live.cancel();
      this.clearPicture();
      this.form.showRefusal(
        `Edges ${crossed[0] + 1} and ${crossed[1] + 1} of the toe cross. Move or delete a vertex so that they no longer do.`,
      );
      return;
    }
    const { base, material_id } = this.form.values();
    this.form.showBusy();
    this.live.request({ toe, base, material_id, compares_bases: !isMoving });
  }

  private onVolume(volume: Volume, elapsed_ms: number): void {
    if (!this.draft) return;
    this.volume = volume;
    this.form.showVolume(volume, elapsed_ms);
    this.paint();
  }

  private onRefusal(error: unknown): void {
    this.form.showRefusal(wordsOf(error));
    this.clearPicture();
  }

  private clearVolume(): void {
    this.live.cancel();
    this.volume = null;
    this.form.showVolume(null, 0);
    this.clearPicture();
  }

  private clearPicture(): void {
    this.layer.hide();
    this.shading.clear();
    this.events.height(null);
  }

  /** Show base and heights as the switches say. */
  private paint(): void {
    this.clearPicture();
    const { vertices } = this.shape.ring;
    if (!this.volume || vertices.length < 3) return;
    const { base, heights } = this.form.looks();
    const plane = this.volume.base_plane ? localPlane(this.volume.base_plane, this.frame) : null;
    if (base) this.layer.show(vertices, plane);
    if (heights && plane) {
      this.shading.byPlane(plane, vertices, this.volume.height_max_m);
      this.events.height(this.volume.height_max_m);
    }
  }

  private toe(): Toe | null {
    if (!this.draft || !this.shape.isClosed) return null;
    return toToe(this.shape.ring, this.frame, this.draft.holes);
  }

  private async save(): Promise<void> {
    const toe = this.toe();
    if (!toe || !this.draft) {
      this.form.showRefusal("The toe is not closed. Click its first vertex, or press Enter.");
      return;
    }
    const { draft } = this;
    const body: ToeDraft = { ...this.form.values(), pile_id: draft.pile_id, toe };
    await this.work("The pile was not saved", async () => {
      const saved = draft.id ? await this.api.replace(draft.id, body, draft.etag) : await this.api.save(this.survey.id, body);
      this.events.say(`${saved.name} is saved.`);
      this.end(saved);
    });
  }

  private async remove(): Promise<void> {
    const { id, etag } = this.draft ?? newDraft();
    if (!id) return;
    await this.work("The pile was not deleted", async () => {
      await this.api.remove(id, etag);
      this.events.say("The pile's toe is deleted from this survey.");
      this.end(null);
    });
  }

  private async snap(): Promise<void> {
    const toe = this.toe();
    if (!toe) return;
    await this.work("The toe was not found", async () => {
      const found = await this.api.snap(this.survey.id, toe);
      this.tool.replace(toRing(found.toe, this.frame));
      this.form.showNote(`Snapped, confidence ${Math.round(100 * found.confidence)} %: ${found.reasons.join("; ")}.`);
    });
  }

  /** Do something that takes the server a moment; what goes wrong is said in the form. */
  private async work(failure: string, action: () => Promise<void>): Promise<void> {
    this.form.setBusy(true);
    try {
      await action();
    } catch (error) {
      this.form.showRefusal(`${failure}: ${wordsOf(error)}`);
    } finally {
      this.form.setBusy(false);
    }
  }
}
