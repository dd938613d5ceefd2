/** The part of Draco's decoder that is used; its package has no types. */
declare module "three/examples/jsm/libs/draco/gltf/draco_wasm_wrapper.js" {
  interface Mesh {
    num_points(): number;
    num_faces(): number;
  }

  interface Attribute {
    num_components(): number;
  }

  interface Decoder {
    DecodeArrayToMesh(bytes: Int8Array, length: number, mesh: Mesh): { ok(): boolean; error_msg(): string };
    GetTrianglesUInt32Array(mesh: Mesh, size: number, address: number): void;
    GetAttributeByUniqueId(mesh: Mesh, id: number): Attribute;
    GetAttributeDataArrayForAllPoints(mesh: Mesh, attribute: Attribute, type: number, size: number, address: number): void;
  }

  export interface DracoModule {
    Decoder: new () => Decoder;
    Mesh: new () => Mesh;
    DT_FLOAT32: number;
    HEAPF32: { buffer: ArrayBuffer };
    _malloc(size: number): number;
    _free(address: number): void;
    destroy(object: Mesh | Decoder): void;
  }

  export default function createDecoder(options: {
    locateFile: () => string;
    onModuleLoaded: (module: DracoModule) => void;
  }): void;
}
