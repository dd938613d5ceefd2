/**
 * One request at a time, and always the newest next.
 *
 * While a vertex is dragged there are more positions than answers. Giving up each running request
 * would starve the display, queueing them would let it lag: so one runs, the newest waits, the
 * others are dropped.
 */
export class Latest<Question, Answer> {
  private waiting: { question: Question; asked: number } | null = null;
  private running: AbortController | null = null;

  constructor(
    private readonly ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
    private readonly onAnswer: (answer: Answer, question: Question, elapsed_ms: number) => void,
    private readonly onError: (error: unknown, question: Question) => void,
  ) {}

  request(question: Question): void {
    this.waiting = { question, asked: performance.now() };
    if (!this.running) void this.run();
  }

  /** Give up what runs and what waits. */
  cancel(): void {
    this.waiting = null;
    this.running?.abort();
    this.running = null;
  }

  private async run(): Promise<void> {
    while (this.waiting) {
      const { question, asked } = this.waiting;
      const controller = new AbortController();
      this.waiting = null;
      this.running = controller;
      try {
        const answer = await this.ask(question, controller.signal);
        if (!controller.signal.aborted) this.onAnswer(answer, question, performance.now() - asked);
      } catch (error) {
        if (!controller.signal.aborted) this.onError(error, question);
      }
      // After a cancel another run may have begun.
      if (this.running !== controller) return;
      this.running = null;
    }
  }
}
