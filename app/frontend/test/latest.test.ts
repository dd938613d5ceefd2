import { describe, expect, it } from "vitest";
import { Latest } from "../src/lib/latest";

interface Call {
  question: number;
  signal: AbortSignal;
  answer: (value: string) => void;
  fail: (error: unknown) => void;
}

function setUp(): { latest: Latest<number, string>; calls: Call[]; answers: string[]; errors: unknown[] } {
  const [calls, answers, errors]: [Call[], string[], unknown[]] = [[], [], []];
  const latest = new Latest<number, string>(
    (question, signal) => new Promise((answer, fail) => calls.push({ question, signal, answer, fail })),
    (answer) => answers.push(answer),
    (error) => errors.push(error),
  );
  return { latest, calls, answers, errors };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe("requests while dragging", () => {
  it("ask one at a time, and the newest next", async () => {
    const { latest, calls, answers } = setUp();
    [1, 2, 3].forEach((question) => latest.request(question));
    expect(calls.map(({ question }) => question)).toEqual([1]);
    calls[0]!.answer("one");
    await settle();
    expect(calls.map(({ question }) => question)).toEqual([1, 3]);
    calls[1]!.answer("three");
    await settle();
    expect(answers).toEqual(["one", "three"]);
  });

  it("say nothing any more once given up, and can begin again", async () => {
    const { latest, calls, answers, errors } = setUp();
    latest.request(1);
    latest.cancel();
    expect(calls[0]!.signal.aborted).toBe(true);
    latest.request(2);
    calls[0]!.fail(new Error("given up"));
    calls[1]!.answer("two");
    await settle();
    expect([answers, errors]).toEqual([["two"], []]);
  });

  it("go on after an error", async () => {
    const { latest, calls, answers, errors } = setUp();
    latest.request(1);
    latest.request(2);
    calls[0]!.fail("refused");
    await settle();
    calls[1]!.answer("two");
    await settle();
    expect([answers, errors]).toEqual([["two"], ["refused"]]);
  });
});
