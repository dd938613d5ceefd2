import { describe, expect, it } from "vitest";
import type { Local } from "../src/lib/frame";
import { append, area_m2, crossing, EMPTY, insert, length_m, middle, move, remove, type Ring, toggleWall } from "../src/lib/ring";

const square: Ring = { vertices: [[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]], walls: [1] };
const ends = ({ vertices, walls }: Ring): Local[][] => walls.map((i) => [vertices[i]!, vertices[(i + 1) % vertices.length]!]);

describe("a ring", () => {
  it("grows by appending", () => {
    expect(append(append(EMPTY, [1, 2, 3]), [4, 5, 6]).vertices).toEqual([[1, 2, 3], [4, 5, 6]]);
  });

  it("moves one vertex and leaves the former ring as it was", () => {
    expect(move(square, 2, [5, 5, 1]).vertices[2]).toEqual([5, 5, 1]);
    expect(square.vertices[2]).toEqual([4, 4, 0]);
  });

  it("keeps both halves of a divided wall walls", () => {
    const divided = insert(square, 1, [4, 2, 0]);
    expect(ends(divided)).toEqual([[[4, 0, 0], [4, 2, 0]], [[4, 2, 0], [4, 4, 0]]]);
  });

  it.each([0, 2, 3])("keeps its wall in place when a vertex is put on edge %i", (edge) => {
    expect(ends(insert(square, edge, [9, 9, 9]))).toEqual(ends(square));
  });

  it("undoes an insertion by a removal, at each edge", () => {
    for (const edge of [0, 1, 2, 3]) expect(remove(insert(square, edge, [9, 9, 9]), edge + 1)).toEqual(square);
  });

  it("drops a wall that lost its end", () => {
    expect(remove(square, 2).walls).toEqual([]);
    expect(remove({ ...square, walls: [1, 2] }, 2)).toEqual({ vertices: [[0, 0, 0], [4, 0, 0], [0, 4, 0]], walls: [1] });
  });

  it("renumbers over its end", () => {
    const walled: Ring = { ...square, walls: [0, 3] };
    expect(ends(remove(walled, 0))).toEqual([[[0, 4, 0], [4, 0, 0]]]);
  });

  it("toggles walls", () => {
    expect(toggleWall(toggleWall(square, 3), 3)).toEqual(square);
    expect(toggleWall(square, 0).walls).toEqual([0, 1]);
  });

  it("has the area and length of a square", () => {
    expect(area_m2(square.vertices)).toBe(16);
    expect(area_m2([...square.vertices].reverse())).toBe(-16);
    expect(length_m([[0, 0, 0], [3, 4, 12]])).toBe(13);
    expect(length_m([[0, 0, 0], [3, 4, 12]], true)).toBe(5);
    expect(middle(square.vertices)).toEqual([2, 2, 0]);
  });

  it("tells which edges cross", () => {
    const bow: Local[] = [[0, 0, 0], [4, 4, 0], [4, 0, 0], [0, 4, 0]];
    expect(crossing(square.vertices)).toBeNull();
    expect(crossing(bow)).toEqual([0, 2]);
    expect(crossing([[0, 0, 0], [4, 0, 0], [4, 4, 0]], false)).toBeNull();
    expect(crossing(bow, false)).toEqual([0, 2]);
  });
});
