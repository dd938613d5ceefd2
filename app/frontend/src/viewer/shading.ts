/** Colours on the surface: height above a base, or difference to another survey. */

import {
  ClampToEdgeWrapping, Color, DataTexture, DataUtils, HalfFloatType, LinearFilter, type Material, RGBAFormat,
  RGFormat, SRGBColorSpace, type Texture, Vector2, Vector3, Vector4,
} from "three";
import type { Grid } from "../lib/api";
import type { Local } from "../lib/frame";

export type Ramp = readonly string[];

// Perceptually even and readable without colour vision (after Crameri 2018, "batlow" and "vik").
export const HEIGHT_RAMP: Ramp = ["#011959", "#134b5f", "#3b6b52", "#7d8133", "#cb9041", "#fda984", "#faccfa"];
export const CHANGE_RAMP: Ramp = ["#01245e", "#2f6e9c", "#9fc0d4", "#ece6e3", "#dcae93", "#b55e34", "#5f1a05"];

const NONE = 0;
const PLANE = 1;
const GRID = 2;
const MASK_SIDE = 512;

const VERTEX = "varying vec3 vPlace;\n#include <common>";
const VERTEX_MAIN = "#include <project_vertex>\nvPlace = (modelMatrix * vec4(transformed, 1.0)).xyz;";
const FRAGMENT = `
varying vec3 vPlace;
uniform int uMode;
uniform vec3 uPlane;
uniform sampler2D uRamp;
uniform vec2 uRange;
uniform sampler2D uMask;
uniform vec4 uMaskBox;
uniform sampler2D uGrid;
uniform vec4 uGridBox;
uniform float uStrength;
#include <common>`;
const FRAGMENT_MAIN = `
#include <map_fragment>
if (uMode != 0) {
  float inside = 1.0;
  float value = vPlace.z - (uPlane.x + uPlane.y * vPlace.x + uPlane.z * vPlace.y);
  if (uMode == 1) {
    vec2 at = (vPlace.xy - uMaskBox.xy) / uMaskBox.zw;
    inside = texture2D(uMask, at).r * step(0.0, min(min(at.x, at.y), min(1.0 - at.x, 1.0 - at.y)));
  } else {
    vec2 at = (vPlace.xy - uGridBox.xy) / uGridBox.zw;
    vec2 found = texture2D(uGrid, at).rg;
    inside = step(0.99, found.g) * step(0.0, min(min(at.x, at.y), min(1.0 - at.x, 1.0 - at.y)));
    value = found.r;
  }
  float share = clamp((value - uRange.x) / (uRange.y - uRange.x), 0.0, 1.0);
  vec3 tint = texture2D(uRamp, vec2(share, 0.5)).rgb;
  float light = dot(diffuseColor.rgb, vec3(0.2126, 0.7152, 0.0722));
  diffuseColor.rgb = mix(diffuseColor.rgb, tint * (0.55 + 0.9 * light), uStrength * inside);
}`;

/** What the surface is coloured by; all materials that were given to `apply` show the same. */
export class Shading {
  private readonly uniforms = {
    uMode: { value: NONE },
    uPlane: { value: new Vector3() },
    uRamp: { value: rampTexture(HEIGHT_RAMP) },
    uRange: { value: new Vector2(0, 1) },
    uMask: { value: maskTexture([], new Vector4(0, 0, 1, 1)) as Texture },
    uMaskBox: { value: new Vector4(0, 0, 1, 1) },
    uGrid: { value: gridTexture({ rows: 1, cols: 1, values: new Float32Array([NaN]) }) as Texture },
    uGridBox: { value: new Vector4(0, 0, 1, 1) },
    uStrength: { value: 0.85 },
  };

  /** Let a material show the colours. */
  apply(material: Material): void {
    material.onBeforeCompile = (shader) => {
      Object.assign(shader.uniforms, this.uniforms);
      shader.vertexShader = shader.vertexShader
        .replace("#include <common>", VERTEX)
        .replace("#include <project_vertex>", VERTEX_MAIN);
      shader.fragmentShader = shader.fragmentShader
        .replace("#include <common>", FRAGMENT)
        .replace("#include <map_fragment>", FRAGMENT_MAIN);
    };
    material.customProgramCacheKey = () => "shading";
  }

  clear(): void {
    this.uniforms.uMode.value = NONE;
  }

  /** Height above the plane `z = c + dx x + dy y` in local coordinates, within a ring. */
  byPlane(plane: Plane, ring: readonly Local[], height_m: number): void {
    this.replace("uRamp", rampTexture(HEIGHT_RAMP));
    const box = boxOf(ring);
    this.replace("uMask", maskTexture(ring, box));
    this.uniforms.uMaskBox.value.copy(box);
    this.uniforms.uPlane.value.set(plane.c, plane.dx, plane.dy);
    this.uniforms.uRange.value.set(0, Math.max(0.1, height_m));
    this.uniforms.uMode.value = PLANE;
  }

  /** Differences on a grid, `west` and `south` in local coordinates. */
  byGrid(grid: Grid, west: number, south: number, limit_m: number): void {
    this.replace("uRamp", rampTexture(CHANGE_RAMP));
    this.replace("uGrid", gridTexture(grid));
    const size = [grid.cols * grid.cell_size_m, grid.rows * grid.cell_size_m] as const;
    this.uniforms.uGridBox.value.set(west, south, ...size);
    this.uniforms.uRange.value.set(-limit_m, limit_m);
    this.uniforms.uMode.value = GRID;
  }

  dispose(): void {
    for (const name of ["uRamp", "uMask", "uGrid"] as const) this.uniforms[name].value.dispose();
  }

  private replace(name: "uRamp" | "uMask" | "uGrid", texture: Texture): void {
    this.uniforms[name].value.dispose();
    (this.uniforms[name] as { value: Texture }).value = texture;
  }
}

/** `z = c + dx x + dy y`. */
export interface Plane {
  c: number;
  dx: number;
  dy: number;
}

function rampTexture(ramp: Ramp): DataTexture {
  const width = 256;
  const data = new Uint8Array(width * 4);
  const colours = ramp.map((text) => new Color().setStyle(text, SRGBColorSpace).convertLinearToSRGB());
  for (let i = 0; i < width; i += 1) {
    const at = (i / (width - 1)) * (ramp.length - 1);
    const k = Math.min(ramp.length - 2, Math.floor(at));
    const { r, g, b } = new Color().lerpColors(colours[k]!, colours[k + 1]!, at - k);
    data.set([r * 255, g * 255, b * 255, 255], 4 * i);
  }
  const texture = new DataTexture(data, width, 1, RGBAFormat);
  texture.colorSpace = SRGBColorSpace;
  return smooth(texture);
}

/** A ring as a picture, row by row from south. */
function maskTexture(ring: readonly Local[], box: Vector4): Texture {
  const canvas = new OffscreenCanvas(MASK_SIDE, MASK_SIDE);
  // In memory: to read it back from the graphics card waits for all that is being drawn there.
  const pen = canvas.getContext("2d", { willReadFrequently: true })!;
  pen.fillStyle = "#fff";
  pen.beginPath();
  for (const [x, y] of ring) {
    pen.lineTo(((x - box.x) / box.z) * MASK_SIDE, ((y - box.y) / box.w) * MASK_SIDE);
  }
  pen.fill();
  const { data } = pen.getImageData(0, 0, MASK_SIDE, MASK_SIDE);
  return smooth(new DataTexture(new Uint8Array(data.buffer), MASK_SIDE, MASK_SIDE, RGBAFormat));
}

/** Values and whether they are known, row by row from south; half floats can be interpolated everywhere. */
function gridTexture({ rows, cols, values }: Pick<Grid, "rows" | "cols" | "values">): Texture {
  const data = new Uint16Array(rows * cols * 2);
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols; col += 1) {
      const value = values[(rows - 1 - row) * cols + col]!;
      const isKnown = Number.isFinite(value);
      data[2 * (row * cols + col)] = DataUtils.toHalfFloat(isKnown ? Math.min(6e4, Math.max(-6e4, value)) : 0);
      data[2 * (row * cols + col) + 1] = DataUtils.toHalfFloat(isKnown ? 1 : 0);
    }
  }
  return smooth(new DataTexture(data, cols, rows, RGFormat, HalfFloatType));
}

function smooth<T extends Texture>(texture: T): T {
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearFilter;
  texture.wrapS = ClampToEdgeWrapping;
  texture.wrapT = ClampToEdgeWrapping;
  texture.needsUpdate = true;
  return texture;
}

function boxOf(ring: readonly Local[]): Vector4 {
  const [xs, ys] = [ring.map((v) => v[0]), ring.map((v) => v[1])];
  const [west, south] = [Math.min(...xs), Math.min(...ys)];
  return new Vector4(west, south, Math.max(...xs) - west, Math.max(...ys) - south);
}
