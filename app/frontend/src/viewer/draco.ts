/**
 * The Draco decoder as three.js's glTF loader asks for it.
 *
 * three.js has one, which starts its workers from addresses of the form `blob:`; ours come from
 * files, so the content security policy needs no exception for programs made up at run time.
 */

import { BufferAttribute, BufferGeometry } from "three";
import type { DRACOLoader } from "three/addons/loaders/DRACOLoader.js";
import type { Decoded, Result, Task } from "./draco_worker";

const WORKERS = 2;

interface Waiting {
  resolve: (mesh: Decoded) => void;
  reject: (error: Error) => void;
}

export class Decoder {
  private readonly workers: Worker[];
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;

  constructor() {
    this.workers = Array.from({ length: WORKERS }, () => {
      const worker = new Worker(new URL("./draco_worker.ts", import.meta.url), { type: "module" });
      worker.onmessage = ({ data }: MessageEvent<Result>) => this.settle(data);
      worker.onerror = () => this.fail(new Error("The decoder of the model did not start. Reload the page."));
      return worker;
    });
  }

  /** Only what the glTF loader calls of a loader for Draco. */
  get loader(): DRACOLoader {
    const decodeDracoFile = (
      buffer: ArrayBuffer,
      onDone: (geometry: BufferGeometry) => void,
      attributes: Record<string, number>,
      _types: unknown,
      _colourSpace: unknown,
      onError: (error: Error) => void,
    ): void => {
      this.decode(buffer, attributes).then((mesh) => onDone(geometryOf(mesh)), onError);
    };
    return { decodeDracoFile, preload: () => undefined } as unknown as DRACOLoader;
  }

  dispose(): void {
    this.workers.forEach((worker) => worker.terminate());
    this.fail(new Error("The page is being left."));
  }

  private decode(buffer: ArrayBuffer, attributes: Record<string, number>): Promise<Decoded> {
    const id = this.count;
    this.count += 1;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.workers[id % WORKERS]!.postMessage({ id, buffer, attributes } satisfies Task, [buffer]);
    });
  }

  private settle(result: Result): void {
    const waiting = this.waiting.get(result.id);
    this.waiting.delete(result.id);
    if ("mesh" in result) waiting?.resolve(result.mesh);
    else waiting?.reject(new Error(result.error));
  }

  private fail(error: Error): void {
    this.waiting.forEach(({ reject }) => reject(error));
    this.waiting.clear();
  }
}

function geometryOf({ index, attributes }: Decoded): BufferGeometry {
  const geometry = new BufferGeometry().setIndex(new BufferAttribute(index, 1));
  for (const { name, itemSize, array } of attributes) geometry.setAttribute(name, new BufferAttribute(array, itemSize));
  return geometry;
}
