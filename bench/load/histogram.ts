const SUB_BITS = 7;
const SUB = 1 << SUB_BITS;

/** Counts durations in whole microseconds, in buckets less than one percent wide. */
export class Histogram {
  #counts = new Uint32Array(SUB * 26);
  #total = 0;

  /** Adds one duration. */
  record(micros: number): void {
    const value = micros < 0 ? 0 : micros > 0x7fffffff ? 0x7fffffff : micros | 0;
    const shift = value < SUB ? 0 : 31 - Math.clz32(value) - SUB_BITS;
    const bucket = shift * SUB + (value >>> shift);
    this.#counts[bucket] = this.#counts[bucket]! + 1;
    this.#total++;
  }

  /** The duration, in microseconds, below which `share` (0 to 1) of the recorded ones lie. */
  quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0) return lowerBound(bucket);
    }
    return 0;
  }

  /** Forgets everything. */
  reset(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}

function lowerBound(bucket: number): number {
  if (bucket < SUB * 2) return bucket;
  const shift = Math.floor(bucket / SUB) - 1;
  return (bucket - shift * SUB) * 2 ** shift;
}
