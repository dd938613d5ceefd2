/** Decodes meshes compressed by Draco, beside the page's own thread. */

import createDecoder, { type DracoModule } from "three/examples/jsm/libs/draco/gltf/draco_wasm_wrapper.js";
import programAddress from "three/examples/jsm/libs/draco/gltf/draco_decoder.wasm?url";

export interface Task {
  id: number;
  buffer: ArrayBuffer;
  /** Draco's unique ids of the attributes, by three.js's names. */
  attributes: Record<string, number>;
}

export interface Decoded {
  index: Uint32Array<ArrayBuffer>;
  attributes: { name: string; itemSize: number; array: Float32Array<ArrayBuffer> }[];
}

export type Result = { id: number; mesh: Decoded } | { id: number; error: string };

const loading = new Promise<{ draco: DracoModule }>((resolve) => {
  // The module has a `then` of its own, so it is handed on in a wrapping.
  createDecoder({ locateFile: () => programAddress, onModuleLoaded: (draco) => resolve({ draco }) });
});

self.onmessage = async ({ data: { id, buffer, attributes } }: MessageEvent<Task>) => {
  const { draco } = await loading;
  try {
    const mesh = decode(draco, new Int8Array(buffer), attributes);
    const parts = [mesh.index.buffer, ...mesh.attributes.map(({ array }) => array.buffer)];
    self.postMessage({ id, mesh } satisfies Result, { transfer: parts });
  } catch (error) {
    self.postMessage({ id, error: String(error) } satisfies Result);
  }
};

function decode(draco: DracoModule, bytes: Int8Array, attributes: Record<string, number>): Decoded {
  const decoder = new draco.Decoder();
  const mesh = new draco.Mesh();
  try {
    const status = decoder.DecodeArrayToMesh(bytes, bytes.byteLength, mesh);
    if (!status.ok()) throw new Error(`The mesh cannot be decoded: ${status.error_msg()}`);
    const count = mesh.num_points();
    const index = new Uint32Array(copy(draco, 12 * mesh.num_faces(), (at, size) => decoder.GetTrianglesUInt32Array(mesh, size, at)));
    return {
      index,
      attributes: Object.entries(attributes).map(([name, uniqueId]) => {
        const attribute = decoder.GetAttributeByUniqueId(mesh, uniqueId);
        const itemSize = attribute.num_components();
        const values = copy(draco, 4 * itemSize * count, (at, size) =>
          decoder.GetAttributeDataArrayForAllPoints(mesh, attribute, draco.DT_FLOAT32, size, at),
        );
        return { name, itemSize, array: new Float32Array(values) };
      }),
    };
  } finally {
    draco.destroy(mesh);
    draco.destroy(decoder);
  }
}

/** What a function writes into the program's memory, as a copy. */
function copy(draco: DracoModule, size: number, write: (address: number, size: number) => void): ArrayBuffer {
  const address = draco._malloc(size);
  write(address, size);
  const bytes = draco.HEAPF32.buffer.slice(address, address + size);
  draco._free(address);
  return bytes;
}
