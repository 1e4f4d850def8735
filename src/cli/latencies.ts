/** How much wider each bucket is than the one before: what a percentile may be off by. */
const STEP = 1.02;

/** The lower end of the second bucket, in ms; what is shorter counts as this. */
const LEAST_MS = 0.01;

/** How long a number of things took, in ms: any number of them in the same small memory, percentiles right to 2 %. */
export class Latencies {
  readonly #buckets: number[] = [];
  #count = 0;
  #max = 0;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** The longest; 0 when there is none. */
  get max(): number {
    return this.#max;
  }

  /** Adds one. */
  add(ms: number): void {
    const index = Math.max(0, Math.ceil(Math.log(ms / LEAST_MS) / Math.log(STEP)));
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#max) this.#max = ms;
  }

  /** What `share` of them (0 to 1) took at most; 0 when there is none. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(this.#count * share));
    for (const [index, count] of this.#buckets.entries()) {
      left -= count ?? 0;
      if (left <= 0) return Math.min(LEAST_MS * STEP ** index, this.#max);
    }
    return this.#max;
  }
}
