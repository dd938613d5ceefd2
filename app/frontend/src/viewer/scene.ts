/** The picture: camera, controls, drawing on demand. */

import { Box3, Color, MOUSE, PerspectiveCamera, Raycaster, Scene as Graph, Sphere, TOUCH, Vector2, Vector3, WebGLRenderer } from "three";
import { MapControls } from "three/addons/controls/MapControls.js";

const FIELD_OF_VIEW_DEG = 45;
const FLIGHT_MS = 450;
/** How far away one can go, in radii of the survey, and how near, in metres. */
const FURTHEST = 8;
const NEAREST_M = 1;
/** Share of the picture that the whole survey fills at most: buttons lie at its edges. */
const MARGIN = 0.86;
const CORNERS = [-1, 1].flatMap((x) => [-1, 1].flatMap((y) => [-1, 1].map((z) => [x, y, z] as const)));

/** What a split picture shows left and right of its divider. */
export interface Split {
  /** Share of the width, from the left. */
  share: number;
  show: (side: "left" | "right") => void;
  restore: () => void;
}

export class Scene {
  readonly graph = new Graph();
  readonly camera = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, 0.1, 5000);
  readonly renderer: WebGLRenderer;
  readonly controls: MapControls;
  split: Split | null = null;
  private readonly framed = new Set<() => void>();
  private readonly raycaster = new Raycaster();
  private readonly resizer: ResizeObserver;
  private readonly extent = new Box3(new Vector3(-50, -50, -5), new Vector3(50, 50, 5));
  private flight: { from: View; to: View; start: number } | null = null;
  private request = 0;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, powerPreference: "high-performance" });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.camera.up.set(0, 0, 1);
    this.controls = new MapControls(this.camera, canvas);
    this.controls.enableDamping = false;
    this.controls.zoomToCursor = true;
    this.controls.minDistance = NEAREST_M;
    this.controls.maxPolarAngle = (86 * Math.PI) / 180;
    this.controls.mouseButtons = { LEFT: MOUSE.PAN, MIDDLE: MOUSE.DOLLY, RIGHT: MOUSE.ROTATE };
    this.controls.touches = { ONE: TOUCH.PAN, TWO: TOUCH.DOLLY_ROTATE };
    this.controls.addEventListener("change", this.invalidate);
    // Whoever takes hold of the view while it flies has it.
    this.controls.addEventListener("start", () => (this.flight = null));
    this.resizer = new ResizeObserver(this.resize);
    this.resizer.observe(canvas.parentElement!);
    this.paintBackground();
    this.resize();
  }

  /** Draw once more, at the next frame. */
  readonly invalidate = (): void => {
    this.request ||= requestAnimationFrame(this.frame);
  };

  /** Call something before each drawn frame, such as moving labels, until the answer is called. */
  onFrame(callback: () => void): () => void {
    this.framed.add(callback);
    return () => this.framed.delete(callback);
  }

  /** Say how large the survey is, and look at all of it. */
  frameAll(extent: Box3): void {
    this.extent.copy(extent);
    this.controls.maxDistance = FURTHEST * extent.getBoundingSphere(new Sphere()).radius;
    this.home(false);
  }

  /** Oblique view of the whole survey from the south. */
  home(isAnimated = true): void {
    const oblique = new Vector3(0, -0.75, 0.85).normalize();
    const target = this.extent.getCenter(new Vector3());
    const position = oblique.clone().multiplyScalar(this.distanceFor(oblique)).add(target);
    this.fly({ target, position }, isAnimated);
  }

  /** From above, north up, at the same place and scale. */
  top(): void {
    const target = this.controls.target.clone();
    const distance = this.camera.position.distanceTo(target);
    // Exactly above, north would be undefined.
    this.fly({ target, position: target.clone().add(new Vector3(0, -1e-3 * distance, distance)) });
  }

  /** Turn north up without tilting. */
  faceNorth(): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const position = new Vector3(0, -Math.hypot(offset.x, offset.y), offset.z).add(this.controls.target);
    this.fly({ target: this.controls.target.clone(), position });
  }

  /** Show a place with a radius around it, from where the camera looks already. */
  focus(centre: Vector3, radius: number): void {
    const direction = this.camera.position.clone().sub(this.controls.target).normalize();
    this.lookAtSphere(new Sphere(centre, radius), direction, true);
  }

  /** Move over the ground, in shares of the distance to it. */
  pan(right: number, forward: number): void {
    const distance = this.camera.position.distanceTo(this.controls.target);
    const azimuth = this.controls.getAzimuthalAngle();
    const step = new Vector3(right, forward, 0).applyAxisAngle(new Vector3(0, 0, 1), azimuth).multiplyScalar(distance);
    this.camera.position.add(step);
    this.controls.target.add(step);
    this.controls.update();
    this.invalidate();
  }

  zoom(factor: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target).multiplyScalar(factor);
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.invalidate();
  }

  /** Turn around the middle and tilt, in radians. */
  orbit(turn: number, tilt: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const azimuth = Math.atan2(offset.y, offset.x) + turn;
    const radius = offset.length();
    const polar = Math.min(this.controls.maxPolarAngle, Math.max(1e-3, Math.acos(offset.z / radius) + tilt));
    this.camera.position
      .set(Math.cos(azimuth) * Math.sin(polar), Math.sin(azimuth) * Math.sin(polar), Math.cos(polar))
      .multiplyScalar(radius)
      .add(this.controls.target);
    this.controls.update();
    this.invalidate();
  }

  /** Where a place is on the canvas in CSS pixels; behind the camera it is null. */
  toScreen(place: Vector3, into = new Vector2()): Vector2 | null {
    const clip = place.clone().project(this.camera);
    if (clip.z > 1 || clip.z < -1) return null;
    const { clientWidth, clientHeight } = this.canvas;
    return into.set(((clip.x + 1) / 2) * clientWidth, ((1 - clip.y) / 2) * clientHeight);
  }

  /** The ray under a pixel of the canvas. */
  rayAt(x: number, y: number): Raycaster {
    const { clientWidth, clientHeight } = this.canvas;
    this.raycaster.setFromCamera(new Vector2((2 * x) / clientWidth - 1, 1 - (2 * y) / clientHeight), this.camera);
    return this.raycaster;
  }

  /** Metres that a CSS pixel spans at a place. */
  metresPerPixel(place: Vector3): number {
    const depth = Math.max(0.1, place.distanceTo(this.camera.position));
    return (2 * depth * Math.tan((FIELD_OF_VIEW_DEG * Math.PI) / 360)) / Math.max(1, this.canvas.clientHeight);
  }

  /** Take the colour behind the model from the theme. */
  paintBackground(): void {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--color-sunken").trim();
    this.graph.background = new Color(colour || "#eceae5");
    this.invalidate();
  }

  dispose(): void {
    cancelAnimationFrame(this.request);
    this.resizer.disconnect();
    this.controls.dispose();
    this.renderer.dispose();
  }

  /** How far from its middle all of the survey is in the picture, seen from a direction. */
  private distanceFor(direction: Vector3): number {
    const right = new Vector3(0, 0, 1).cross(direction).normalize();
    const up = direction.clone().cross(right);
    const slope = MARGIN * Math.tan((FIELD_OF_VIEW_DEG * Math.PI) / 360);
    const half = this.extent.getSize(new Vector3()).multiplyScalar(0.5);
    const reach = CORNERS.map((corner) => {
      const place = new Vector3(...corner).multiply(half);
      const across = Math.max(Math.abs(place.dot(right)) / this.camera.aspect, Math.abs(place.dot(up)));
      return across / slope + place.dot(direction);
    });
    return Math.max(...reach);
  }

  private lookAtSphere(sphere: Sphere, direction: Vector3, isAnimated: boolean): void {
    const narrow = Math.min(1, this.camera.aspect);
    const distance = (0.82 * sphere.radius) / Math.sin((FIELD_OF_VIEW_DEG * Math.PI) / 360) / narrow;
    const position = direction.clone().normalize().multiplyScalar(distance).add(sphere.center);
    this.fly({ target: sphere.center.clone(), position }, isAnimated);
  }

  private fly(to: View, isAnimated = true): void {
    const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const from = { target: this.controls.target.clone(), position: this.camera.position.clone() };
    const start = performance.now();
    this.flight = { from, to, start };
    // What is not animated is there at once: whoever looks on from here needs to know where that is.
    if (!isAnimated || isCalm) this.advance(start + FLIGHT_MS);
    this.invalidate();
  }

  private readonly frame = (now: number): void => {
    this.request = 0;
    this.advance(now);
    const distance = this.camera.position.distanceTo(this.controls.target);
    this.camera.near = Math.max(0.02, distance / 500);
    this.camera.far = distance * 20 + 2000;
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
    for (const callback of this.framed) callback();
    if (this.split) this.drawSplit(this.split);
    else this.renderer.render(this.graph, this.camera);
  };

  private advance(now: number): void {
    if (!this.flight) return;
    const { from, to, start } = this.flight;
    const t = Math.min(1, Math.max(0, (now - start) / FLIGHT_MS));
    const eased = t * t * (3 - 2 * t);
    this.controls.target.lerpVectors(from.target, to.target, eased);
    this.camera.position.lerpVectors(from.position, to.position, eased);
    this.controls.update();
    if (t < 1) this.invalidate();
    else this.flight = null;
  }

  private drawSplit({ share, show, restore }: Split): void {
    const { clientWidth, clientHeight } = this.canvas;
    const left = Math.round(clientWidth * share);
    this.renderer.setScissorTest(true);
    show("left");
    this.renderer.setScissor(0, 0, left, clientHeight);
    this.renderer.render(this.graph, this.camera);
    show("right");
    this.renderer.setScissor(left, 0, clientWidth - left, clientHeight);
    this.renderer.render(this.graph, this.camera);
    restore();
    this.renderer.setScissorTest(false);
  }

  private readonly resize = (): void => {
    const { clientWidth, clientHeight } = this.canvas.parentElement!;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    this.invalidate();
  };
}

interface View {
  target: Vector3;
  position: Vector3;
}
