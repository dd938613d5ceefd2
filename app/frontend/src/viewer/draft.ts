/** What is drawn, whether it exists already or not. */

import type { Base, SavedToe, Toe, ToeDraft } from "../lib/api";
import type { Item } from "../lib/review";

export interface Draft {
  /** Names its line on the model, which is hidden meanwhile. */
  key: string | null;
  id: string | null;
  etag: string | null;
  pile_id: string | null;
  name: string;
  material_id: string | null;
  base: Base;
  holes: Toe["coordinates"];
}

export function newDraft(): Draft {
  return { key: null, id: null, etag: null, pile_id: null, name: "", material_id: null, base: { method: "plane" }, holes: [] };
}

export function draftOfSaved(toe: SavedToe): Draft {
  const { id, etag = null, pile_id, name, material_id, base } = toe;
  return { ...newDraft(), key: id, id, etag, pile_id, name, material_id, base };
}

/** What waits for a review, as it is edited. */
export function draftOf(item: Item): Draft {
  if (item.kind === "carried") return draftOfSaved(item.saved);
  const { pile_id, material_id } = item.kind === "gone" ? item.was : item.proposal;
  return { ...newDraft(), key: item.key, name: item.name, pile_id, material_id, base: item.was?.base ?? { method: "plane" } };
}

/** What waits for a review, as it is saved when it is taken as it is. */
export function toeDraftOf(item: Item): ToeDraft {
  const { name, pile_id, material_id, base } = draftOf(item);
  return { name, pile_id, material_id, base, toe: item.toe };
}
