/** What of a survey waits for somebody to look at it. */

import type { Change, Proposal, SavedToe, Toe } from "./api";

interface Reviewable {
  /** Names its line on the model. */
  key: string;
  name: string;
  toe: Toe;
  /** 0 to 1; null where nothing is there to be sure of. */
  confidence: number | null;
  reasons: readonly string[];
  /** The pile in the survey before. */
  was: SavedToe | null;
}

export type Item =
  /** A pile of the survey before, laid onto this one. */
  | (Reviewable & { kind: "carried"; change: Change; saved: SavedToe })
  /** A toe that a program found. */
  | (Reviewable & { kind: "proposed"; change: Change; proposal: Proposal })
  /** A pile of the survey before that this one does not have. */
  | (Reviewable & { kind: "gone"; change: "gone"; was: SavedToe });

/** Colours of toe lines: what counts, and what waits. */
export const TOE_COLOURS = { confirmed: "#2fd3b5", carried: "#ffd166", proposed: "#c3a6ff", gone: "#ff9b93" } as const;

/** Everything that nobody confirmed: piles carried over, toes proposed, and last what is gone. */
export function reviewItems(toes: readonly SavedToe[], proposals: readonly Proposal[], before: readonly SavedToe[]): Item[] {
  const earlier = new Map(before.filter((toe) => toe.is_confirmed).map((toe) => [toe.pile_id, toe]));
  const carried = toes.filter((toe) => !toe.is_confirmed).map((saved): Item => {
    const { change, confidence, reasons } = saved.carried ?? { change: "unchanged", confidence: 0, reasons: [] };
    const was = earlier.get(saved.pile_id) ?? null;
    return { kind: "carried", key: saved.id, name: saved.name, toe: saved.toe, change, confidence, reasons, was, saved };
  });
  const names = freeNames([...toes, ...before].map(({ name }) => name));
  const proposed = proposals.map((proposal): Item => {
    const { toe, change, confidence, reasons } = proposal;
    const was = earlier.get(proposal.pile_id ?? "") ?? null;
    const name = proposal.name || names.next().value;
    return { kind: "proposed", key: `proposal-${proposal.number}`, name, toe, change, confidence, reasons, was, proposal };
  });
  const known = new Set([...toes, ...proposals].map(({ pile_id }) => pile_id));
  const parts = new Set(proposals.flatMap(({ was }) => was));
  const gone = [...earlier.values()]
    .filter((was) => !known.has(was.pile_id) && !parts.has(was.name))
    .map((was): Item => ({ kind: "gone", key: goneKey(was.pile_id), name: was.name, toe: was.toe, change: "gone", confidence: null, reasons: [], was }));
  return [...carried, ...proposed, ...gone];
}

export const goneKey = (pile: string): string => `gone-${pile}`;

/** `Pile 1`, `Pile 2` … without those that are taken. */
function* freeNames(taken: readonly string[]): Generator<string, never> {
  for (let count = 1; ; count += 1) {
    if (!taken.includes(`Pile ${count}`)) yield `Pile ${count}`;
  }
}
