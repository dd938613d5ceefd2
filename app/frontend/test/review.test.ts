import { expect, test } from "vitest";
import type { Proposal, SavedToe } from "../src/lib/api";
import { reviewItems } from "../src/lib/review";

const toe = { coordinates: [], walls: [] };

function saved(name: string, is_confirmed: boolean): SavedToe {
  const carried = is_confirmed ? null : { change: "grown" as const, confidence: 0.7, reasons: ["the same place"] };
  return {
    id: `toe-${name}`, pile_id: `pile-${name}`, name, material_id: null, toe, base: { method: "plane" }, volume: null,
    drawn_by: "", drawn_at: "", is_confirmed, carried,
  };
}

function proposal(number: number, name = "", was: string[] = []): Proposal {
  const pile_id = name ? `pile-${name}` : null;
  return { number, toe, confidence: 0.5, reasons: [], pile_id, name, material_id: null, change: name ? "moved" : "new", was };
}

test("what counts already needs no review", () => {
  expect(reviewItems([saved("Sand", true)], [], [saved("Sand", true)])).toEqual([]);
});

test("a pile that was carried over stands beside what it was", () => {
  const before = saved("Sand", true);
  const [item] = reviewItems([saved("Sand", false)], [], [before]);
  expect(item).toMatchObject({ kind: "carried", change: "grown", confidence: 0.7, was: before });
});

test("proposals without a name get one that is free", () => {
  const items = reviewItems([saved("Pile 1", true)], [proposal(4), proposal(2, "Sand"), proposal(7)], []);
  expect(items.map(({ key, name }) => [key, name])).toEqual([
    ["proposal-4", "Pile 2"],
    ["proposal-2", "Sand"],
    ["proposal-7", "Pile 3"],
  ]);
});

test("what is nowhere any more is gone, but not what was split", () => {
  const before = [saved("Sand", true), saved("Gravel", true), saved("Fill", false)];
  const items = reviewItems([], [proposal(0, "", ["Gravel"])], before);
  expect(items.map(({ kind, name }) => [kind, name])).toEqual([["proposed", "Pile 1"], ["gone", "Sand"]]);
});
