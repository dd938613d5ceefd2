/** Places on what is drawn: the ground that toes lie on. */

import { type Mesh, type Object3D, Raycaster, Vector3 } from "three";
import { acceleratedRaycast, MeshBVH } from "three-mesh-bvh";

/** Something that can be clicked on. */
export interface Surface {
  /** The place under a pixel of the canvas. */
  pick(x: number, y: number): Vector3 | null;
  /** Height at a place in plan. */
  heightAt(x: number, y: number): number | null;
}

interface Ray {
  origin: Vector3;
  direction: Vector3;
}

const caster = new Raycaster();
// Known to three-mesh-bvh only: one hit is enough.
(caster as Raycaster & { firstHitOnly: boolean }).firstHitOnly = true;

/** The nearest hit of a ray, in world coordinates. */
export function nearestHit(from: Raycaster | Ray, object: Object3D): Vector3 | null {
  const ray = from instanceof Raycaster ? from.ray : from;
  caster.set(ray.origin, ray.direction);
  return caster.intersectObject(object, true)[0]?.point ?? null;
}

/**
 * Let a mesh be hit through a tree of its triangles, built when it is first asked.
 *
 * Most tiles that stream past are never clicked on; building all trees would cost more time than
 * loading the tiles.
 */
export function useTree(mesh: Mesh): void {
  mesh.raycast = (raycaster, hits) => {
    mesh.geometry.boundsTree ??= new MeshBVH(mesh.geometry, { targetLeafSize: 16 });
    acceleratedRaycast.call(mesh, raycaster, hits);
  };
}
