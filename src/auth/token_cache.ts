/**
 * Remembers a bounded number of values by key. What was asked for lately stays; the rest goes, a generation at a time,
 * which is far cheaper than keeping everything in order of use.
 */
export class RecentCache<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** @param capacity The most that is kept: 2 or more. At least half of it, the latest, is. */
  constructor(private readonly capacity: number) {}

  /** How many values are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Value | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const older = this.#old.get(key);
    if (older !== undefined) {
      this.#old.delete(key);
      this.set(key, older);
    }
    return older;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= Math.floor(this.capacity / 2) && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
