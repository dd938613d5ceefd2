import { describe, expect, it } from "vitest";
import { History } from "../src/lib/history";

describe("history", () => {
  it("goes back and forth", () => {
    const history = new History("a");
    history.push("b");
    history.push("c");
    expect([history.undo(), history.undo(), history.undo()]).toEqual(["b", "a", "a"]);
    expect([history.redo(), history.redo(), history.redo()]).toEqual(["b", "c", "c"]);
  });

  it("forgets what was undone when something new is done", () => {
    const history = new History(1);
    history.push(2);
    history.undo();
    history.push(3);
    expect(history.canRedo).toBe(false);
    expect(history.undo()).toBe(1);
  });

  it("takes no step for the same value", () => {
    const history = new History("a");
    history.push("a");
    expect(history.canUndo).toBe(false);
  });
});
