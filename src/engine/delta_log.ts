import { type Delta, deltaBytes } from "../model/delta.js";

/** What an entry takes beyond `deltaBytes`, in bytes: measured, its objects. */
const ENTRY_BYTES = 400;

/** How much of a channel's history is kept for readers that resume. */
export interface LogLimits {
  /** At most so many changes. Default 1000; 0 keeps none, and every return begins with a SNAPSHOT. */
  readonly maxEvents: number;
  /** At most so many bytes, as estimated by `deltaBytes`. Default 262144. */
  readonly maxBytes: number;
}

/** The last changes of one channel, oldest first, without a gap up to the channel's head. */
export class DeltaLog {
  /** Entries before `#start` were dropped: they are `undefined`, and cut off now and then, so that dropping costs O(1). */
  #deltas: (Delta | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  constructor(private readonly limits: LogLimits) {}

  /** Approximate memory of what is kept. */
  get memoryBytes(): number {
    return this.#bytes + ENTRY_BYTES * this.#length;
  }

  /** Adds the channel's newest change, dropping the oldest ones where a limit says so. */
  append(delta: Delta): void {
    this.#deltas.push(delta);
    this.#bytes += deltaBytes(delta);
    while (this.#length > this.limits.maxEvents || this.#bytes > this.limits.maxBytes) {
      if (!this.dropOldest()) break;
    }
  }

  /** Drops the oldest change; false if there is none. */
  dropOldest(): boolean {
    const dropped = this.#deltas[this.#start];
    if (!dropped) return false;
    this.#deltas[this.#start] = undefined;
    this.#start += 1;
    this.#bytes -= deltaBytes(dropped);
    if (this.#start === this.#deltas.length || (this.#start > 32 && this.#start * 2 > this.#deltas.length)) {
      this.#deltas = this.#deltas.slice(this.#start);
      this.#start = 0;
    }
    return true;
  }

  /** The changes after `revision`, up to the channel's `head`; `undefined` if some of them have been dropped. */
  after(revision: number, head: number): readonly Delta[] | undefined {
    const missed = head - revision;
    if (missed > this.#length) return undefined;
    return this.#deltas.slice(this.#deltas.length - missed) as Delta[];
  }

  get #length(): number {
    return this.#deltas.length - this.#start;
  }
}
