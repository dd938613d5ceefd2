/** Steps back and forth over values that never change. */

const LIMIT = 200;

export class History<T> {
  private past: T[] = [];
  private future: T[] = [];

  constructor(private present: T) {}

  get value(): T {
    return this.present;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** A new value, as one step. */
  push(value: T): void {
    if (value === this.present) return;
    this.past.push(this.present);
    if (this.past.length > LIMIT) this.past.shift();
    this.present = value;
    this.future = [];
  }

  undo(): T {
    const last = this.past.pop();
    if (last !== undefined) {
      this.future.push(this.present);
      this.present = last;
    }
    return this.present;
  }

  redo(): T {
    const next = this.future.pop();
    if (next !== undefined) {
      this.past.push(this.present);
      this.present = next;
    }
    return this.present;
  }
}
