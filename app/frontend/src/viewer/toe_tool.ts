/** Drawing a toe on the surface: by mouse, finger or keyboard. */

import { Vector3 } from "three";
import { drapeEdge } from "../lib/drape";
import type { Local } from "../lib/frame";
import { History } from "../lib/history";
import * as rings from "../lib/ring";
import type { Ring } from "../lib/ring";
import { Handles, SurfaceLine } from "./lines";
import type { Scene } from "./scene";
import type { Surface } from "./surface";

const STEP_M = 0.4;
const LIFT_M = 0.04;
const CLICK_PX = 5;
const REACH_PX = { mouse: 12, touch: 26 };
const EDGE_REACH_PX = { mouse: 9, touch: 20 };
const LINE = "#ffffff";
const CROSSED = "#ff6b5e";
const WALL = "#ffa62b";
const VERTEX = "#ffffff";
const SELECTED = "#2fd3b5";

/** A toe while it is drawn. */
export interface Shape {
  readonly ring: Ring;
  readonly isClosed: boolean;
}

export interface ToeToolEvents {
  /** The shape is another one; while a vertex is dragged, with `isMoving`. */
  change: (shape: Shape, isMoving: boolean) => void;
  /** Which vertex is selected. */
  select: (index: number | null) => void;
  cancel: () => void;
  /** Enter on a closed toe. */
  finish: () => void;
}

interface Press {
  id: number;
  x: number;
  y: number;
  reach: "mouse" | "touch";
  vertex: number | null;
  /** The shape before a drag, to which the drag is one step. */
  before: Shape;
  hasMoved: boolean;
}

export class ToeTool {
  /** While set, a click on an edge makes it a wall. */
  marksWalls = false;
  private history = new History<Shape>({ ring: rings.EMPTY, isClosed: false });
  private shape = this.history.value;
  private selected: number | null = null;
  private press: Press | null = null;
  private pointer: Local | null = null;
  private edges: Local[][] = [];
  private isActive = false;
  private readonly line: SurfaceLine;
  private readonly walls: SurfaceLine[] = [];
  private readonly handles: Handles;
  private readonly listening = new AbortController();

  constructor(
    private readonly scene: Scene,
    private readonly surface: Surface,
    private readonly events: ToeToolEvents,
  ) {
    this.line = new SurfaceLine(scene, LINE, 3);
    this.handles = new Handles(scene);
    const { canvas } = scene;
    const options = { capture: true, signal: this.listening.signal };
    canvas.addEventListener("pointerdown", this.onDown, options);
    canvas.addEventListener("pointermove", this.onMove, options);
    canvas.addEventListener("pointerup", this.onUp, options);
    canvas.addEventListener("pointercancel", this.onCancel, options);
    canvas.addEventListener("dblclick", this.onDoubleClick, options);
    canvas.addEventListener("keydown", this.onKey, options);
  }

  /** Begin with nothing, or with the toe of a pile. */
  start(ring: Ring = rings.EMPTY): void {
    this.history = new History<Shape>({ ring, isClosed: ring.vertices.length > 2 });
    this.isActive = true;
    this.selected = null;
    this.marksWalls = false;
    this.show(this.history.value, false);
  }

  stop(): void {
    this.isActive = false;
    this.press = null;
    this.pointer = null;
    this.shape = { ring: rings.EMPTY, isClosed: false };
    this.redraw();
  }

  get canUndo(): boolean {
    return this.history.canUndo;
  }

  get canRedo(): boolean {
    return this.history.canRedo;
  }

  get isDrawing(): boolean {
    return this.isActive;
  }

  undo(): void {
    this.select(null);
    this.show(this.history.undo(), false);
  }

  redo(): void {
    this.select(null);
    this.show(this.history.redo(), false);
  }

  /** Another ring for the same toe, such as a snapped one, as one step. */
  replace(ring: Ring): void {
    this.commit({ ring, isClosed: true });
  }

  deleteSelected(): void {
    const { ring, isClosed } = this.shape;
    if (this.selected === null || (isClosed && ring.vertices.length <= 3)) return;
    const next = rings.remove(ring, this.selected);
    this.select(null);
    this.commit({ ring: next, isClosed });
  }

  close(): void {
    const { ring, isClosed } = this.shape;
    if (isClosed || ring.vertices.length < 3) return;
    this.pointer = null;
    this.commit({ ring, isClosed: true });
  }

  /** Lay the line again, after finer tiles have come. */
  readonly redraw = (): void => {
    const { ring, isClosed } = this.shape;
    const vertices = this.pointer && !isClosed ? [...ring.vertices, this.pointer] : ring.vertices;
    const count = isClosed ? vertices.length : Math.max(0, vertices.length - 1);
    this.edges = Array.from({ length: count }, (_, i) => {
      const end = vertices[(i + 1) % vertices.length]!;
      const edge = drapeEdge(vertices[i]!, end, this.surface.heightAt, STEP_M, LIFT_M);
      return [...edge, [end[0], end[1], end[2] + LIFT_M] as Local];
    });
    this.line.paint(rings.crossing(vertices, isClosed) ? CROSSED : LINE);
    this.line.draw(this.edges.flat());
    this.drawWalls(ring.walls);
    this.handles.draw(ring.vertices, (i) => (i === this.selected ? SELECTED : VERTEX));
  };

  dispose(): void {
    this.listening.abort();
    this.line.dispose();
    this.walls.forEach((wall) => wall.dispose());
    this.handles.dispose();
  }

  private drawWalls(walls: readonly number[]): void {
    while (this.walls.length < walls.length) this.walls.push(new SurfaceLine(this.scene, WALL, 6));
    this.walls.forEach((line, i) => line.draw(this.edges[walls[i] ?? -1] ?? []));
  }

  private show(shape: Shape, isMoving: boolean): void {
    this.shape = shape;
    this.redraw();
    this.events.change(shape, isMoving);
  }

  private commit(shape: Shape): void {
    this.history.push(shape);
    this.show(shape, false);
  }

  private select(index: number | null): void {
    this.selected = index;
    this.events.select(index);
  }

  private readonly onDown = (event: PointerEvent): void => {
    if (!this.isActive || event.button !== 0) return;
    if (!event.isPrimary) return this.abandon();
    const reach = event.pointerType === "mouse" ? "mouse" : "touch";
    const [x, y] = [event.offsetX, event.offsetY];
    const vertex = this.marksWalls ? null : this.handles.at(x, y, REACH_PX[reach]);
    this.press = { id: event.pointerId, x, y, reach, vertex, before: this.shape, hasMoved: false };
    if (vertex === null && this.shape.isClosed && !this.marksWalls) this.insertAt(x, y, reach);
    if (this.press.vertex === null) return;
    this.select(this.press.vertex);
    this.redraw();
    this.scene.controls.enabled = false;
    this.scene.canvas.setPointerCapture(event.pointerId);
  };

  /** A press on an edge makes a vertex there, which can be dragged on at once. */
  private insertAt(x: number, y: number, reach: "mouse" | "touch"): void {
    const edge = this.edgeAt(x, y, EDGE_REACH_PX[reach]);
    const place = edge === null ? null : this.surface.pick(x, y);
    if (edge === null || !place || !this.press) return;
    this.press.vertex = edge + 1;
    this.press.hasMoved = true;
    this.show({ ...this.shape, ring: rings.insert(this.shape.ring, edge, place.toArray()) }, true);
  }

  private readonly onMove = (event: PointerEvent): void => {
    if (!this.isActive) return;
    const [x, y] = [event.offsetX, event.offsetY];
    const { press } = this;
    if (press && press.id === event.pointerId) {
      press.hasMoved ||= Math.hypot(x - press.x, y - press.y) > CLICK_PX;
      if (press.vertex !== null && press.hasMoved) this.dragTo(press.vertex, x, y);
    } else if (!press) {
      this.hover(x, y, event.pointerType);
    }
  };

  private dragTo(vertex: number, x: number, y: number): void {
    const place = this.surface.pick(x, y);
    if (place) this.show({ ...this.shape, ring: rings.move(this.shape.ring, vertex, place.toArray()) }, true);
  }

  private hover(x: number, y: number, pointer: string): void {
    const { isClosed } = this.shape;
    const isVertex = !this.marksWalls && this.handles.at(x, y, REACH_PX.mouse) !== null;
    const isEdge = isClosed && this.edgeAt(x, y, EDGE_REACH_PX.mouse) !== null;
    this.scene.canvas.dataset["cursor"] = isVertex ? "move" : isEdge ? "insert" : isClosed ? "" : "draw";
    if (isClosed || pointer !== "mouse") return;
    this.pointer = this.surface.pick(x, y)?.toArray() ?? null;
    this.redraw();
  }

  private readonly onUp = (event: PointerEvent): void => {
    const { press } = this;
    if (!press || press.id !== event.pointerId) return;
    this.press = null;
    this.scene.controls.enabled = true;
    if (press.vertex !== null && press.hasMoved) this.commit(this.shape);
    else if (!press.hasMoved) this.click(press);
  };

  private click({ x, y, vertex, reach }: Press): void {
    const { ring, isClosed } = this.shape;
    if (this.marksWalls) {
      const edge = this.edgeAt(x, y, 2 * EDGE_REACH_PX[reach]);
      if (edge !== null) this.commit({ isClosed, ring: rings.toggleWall(ring, edge) });
    } else if (!isClosed && vertex === 0) {
      this.close();
    } else if (vertex === null && isClosed) {
      this.select(null);
      this.redraw();
    } else if (vertex === null) {
      this.add(this.surface.pick(x, y));
    }
  }

  private add(place: Vector3 | null): void {
    if (!place) return;
    this.pointer = null;
    this.commit({ isClosed: false, ring: rings.append(this.shape.ring, place.toArray()) });
  }

  private readonly onCancel = (event: PointerEvent): void => {
    if (this.press?.id === event.pointerId) this.abandon();
  };

  /** Take a press back: a second finger makes a gesture for the view of it. */
  private abandon(): void {
    if (!this.press) return;
    this.scene.controls.enabled = true;
    this.show(this.press.before, false);
    this.press = null;
  }

  private readonly onDoubleClick = (event: MouseEvent): void => {
    if (!this.isActive || this.shape.isClosed) return;
    event.stopPropagation();
    // The second click of the pair has set a vertex on the first one's.
    const { vertices } = this.shape.ring;
    const [a, b] = [vertices.at(-1), vertices.at(-2)];
    const isTwice = a && b && new Vector3(...a).distanceTo(new Vector3(...b)) < 8 * this.scene.metresPerPixel(new Vector3(...a));
    if (isTwice) this.commit({ isClosed: false, ring: rings.remove(this.shape.ring, vertices.length - 1) });
    this.close();
  };

  private edgeAt(x: number, y: number, reach_px: number): number | null {
    let best: number | null = null;
    let nearest = reach_px;
    this.edges.forEach((edge, index) => {
      const pixels = edge.map((place) => this.scene.toScreen(new Vector3(...place))?.clone() ?? null);
      for (let i = 1; i < pixels.length; i += 1) {
        const [a, b] = [pixels[i - 1], pixels[i]];
        if (!a || !b) continue;
        const span = b.clone().sub(a);
        const t = ((x - a.x) * span.x + (y - a.y) * span.y) / Math.max(1e-9, span.lengthSq());
        const near = a.clone().addScaledVector(span, Math.min(1, Math.max(0, t)));
        const distance = Math.hypot(near.x - x, near.y - y);
        if (distance < nearest) [best, nearest] = [index, distance];
      }
    });
    return best;
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (!this.isActive || event.altKey) return;
    const isHandled = event.ctrlKey || event.metaKey ? this.command(event) : this.key(event);
    if (!isHandled) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  private command(event: KeyboardEvent): boolean {
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) this.undo();
    else if (key === "y" || key === "z") this.redo();
    else return false;
    return true;
  }

  private key(event: KeyboardEvent): boolean {
    const step = event.shiftKey ? 1 : 0.1;
    const actions: Record<string, () => void> = {
      Escape: () => this.escape(),
      Enter: () => (this.shape.isClosed ? this.events.finish() : this.close()),
      " ": () => this.add(this.surface.pick(this.scene.canvas.clientWidth / 2, this.scene.canvas.clientHeight / 2)),
      Delete: () => this.deleteSelected(),
      Backspace: () => (this.selected === null && !this.shape.isClosed ? this.undo() : this.deleteSelected()),
      n: () => this.step(1),
      p: () => this.step(-1),
      i: () => this.insertAfterSelected(),
      w: () => this.toggleSelectedWall(),
    };
    if (this.selected !== null) {
      actions["ArrowLeft"] = () => this.nudge(-step, 0);
      actions["ArrowRight"] = () => this.nudge(step, 0);
      actions["ArrowUp"] = () => this.nudge(0, step);
      actions["ArrowDown"] = () => this.nudge(0, -step);
    }
    if (this.shape.isClosed) delete actions[" "];
    const action = actions[event.key];
    action?.();
    return action !== undefined;
  }

  private escape(): void {
    if (!this.marksWalls && this.selected === null) return this.events.cancel();
    if (this.marksWalls) this.marksWalls = false;
    else this.select(null);
    this.show(this.shape, false);
  }

  private step(by: number): void {
    const count = this.shape.ring.vertices.length;
    if (!count) return;
    this.select(((this.selected ?? (by > 0 ? -1 : 0)) + by + count) % count);
    this.redraw();
  }

  private insertAfterSelected(): void {
    const { ring, isClosed } = this.shape;
    if (this.selected === null || (!isClosed && this.selected === ring.vertices.length - 1)) return;
    const [a, b] = [ring.vertices[this.selected]!, ring.vertices[(this.selected + 1) % ring.vertices.length]!];
    const [x, y] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const vertex: Local = [x, y, this.surface.heightAt(x, y) ?? (a[2] + b[2]) / 2];
    const next = rings.insert(ring, this.selected, vertex);
    this.select(this.selected + 1);
    this.commit({ ring: next, isClosed });
  }

  private toggleSelectedWall(): void {
    if (this.selected === null || !this.shape.isClosed) return;
    this.commit({ isClosed: true, ring: rings.toggleWall(this.shape.ring, this.selected) });
  }

  /** Move the selected vertex as seen on the screen. */
  private nudge(right: number, forward: number): void {
    const { ring, isClosed } = this.shape;
    const old = ring.vertices[this.selected!]!;
    const turn = this.scene.controls.getAzimuthalAngle();
    const x = old[0] + right * Math.cos(turn) - forward * Math.sin(turn);
    const y = old[1] + right * Math.sin(turn) + forward * Math.cos(turn);
    const vertex: Local = [x, y, this.surface.heightAt(x, y) ?? old[2]];
    this.commit({ isClosed, ring: rings.move(ring, this.selected!, vertex) });
  }
}
