import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "../time/clock.js";
import { MIB } from "./setting.js";

/**
 * V8 counts the young generation to the heap limit, but objects that stay are moved to the old one. Its size depends on
 * the release of Node: 48 MiB in 20 and 22, 192 in 24, 96 in 26.
 */
const MAX_YOUNG_BYTES = 192 * MIB;

/** Memory is short until it is this far below the limit, so that it does not change with every write. */
const ENOUGH = 0.95;

/** How old a measurement may be, in ms, before memory is collected to see whether it is still short. */
const STALE_MS = 10_000;

/** Collections on purpose take at most this part of the time. */
const MOST_COLLECTING = 0.02;

/** Where the limit takes its figures from; replaced in tests. */
export interface MemorySource {
  /** Heap and external memory in use, in bytes, garbage included. */
  used(): number;
  /** Collects all garbage. */
  collect(): void;
  /** Calls `onCollected` soon after each full collection; gives what stops that. */
  watch(onCollected: () => void): () => void;
}

export interface MemoryLimitOptions {
  readonly clock: Clock;
  readonly source: MemorySource;
  /** More is too much, in bytes; 0: any amount is allowed. */
  readonly limitBytes: number;
  /** Approximate memory of what the server keeps for its clients, in bytes: tells what changed since a collection. */
  readonly kept: () => number;
}

/**
 * Tells when the memory of this process is short, without counting garbage: what was in use after the last full
 * collection, and what the server has kept or let go of since.
 *
 * V8 begins the next full collection at the latest half-way between what survived the last one and its limit, so memory
 * that `kept` does not count is known long before the limit as well. A process with little to do may not collect for a
 * long time; while memory is short, a measurement that is too old is renewed by a collection on purpose.
 */
export class MemoryLimit {
  #collected = 0;
  #keptThen = 0;
  #measuredAt = 0;
  #freshMs = STALE_MS;
  #short = false;
  readonly #stop: () => void;

  constructor(private readonly options: MemoryLimitOptions) {
    this.#stop = options.source.watch(() => this.#measure());
    this.#measure();
  }

  get limitBytes(): number {
    return this.options.limitBytes;
  }

  /** The memory in use, garbage not included: an estimate, in bytes. */
  get usedBytes(): number {
    return this.#collected + this.options.kept() - this.#keptThen;
  }

  /** Whether memory is short. O(1), except where it has to collect. */
  get isShort(): boolean {
    const { limitBytes, clock } = this.options;
    if (limitBytes === 0) return false;
    if (!this.#isAbove()) {
      this.#short = false;
    } else if (!this.#short || clock.now().tick - this.#measuredAt >= this.#freshMs) {
      this.#short = this.#isStillAbove();
    }
    return this.#short;
  }

  /** Stops watching. */
  close(): void {
    this.#stop();
  }

  #isAbove(): boolean {
    return this.usedBytes > this.options.limitBytes * (this.#short ? ENOUGH : 1);
  }

  /** Whether it is above the limit by a measurement that is not too old. */
  #isStillAbove(): boolean {
    const { clock, source } = this.options;
    const before = clock.now().tick;
    if (before - this.#measuredAt < this.#freshMs) return true;
    source.collect();
    this.#measure();
    this.#freshMs = Math.max(STALE_MS, (this.#measuredAt - before) / MOST_COLLECTING);
    return this.#isAbove();
  }

  #measure(): void {
    const { clock, source, kept } = this.options;
    this.#collected = source.used();
    this.#keptThen = kept();
    this.#measuredAt = clock.now().tick;
  }
}

/** An entry of type `gc`; what is in `detail` is not in its type. */
type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

/** The memory of this process. */
export const processMemory: MemorySource = {
  used() {
    const { used_heap_size, external_memory } = getHeapStatistics();
    return used_heap_size + external_memory;
  },
  collect() {
    // Node offers `gc` only with a flag, which may be set while it runs; the context is made for a flag set late.
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
  },
  watch(onCollected) {
    const observer = new PerformanceObserver((list) => {
      const isFull = list
        .getEntries()
        .some((entry) => (entry as GcEntry).detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
      if (isFull) onCollected();
    });
    observer.observe({ entryTypes: ["gc"] });
    return () => observer.disconnect();
  },
};

/** A share of the memory that objects of this process may take until V8 gives up, in bytes. */
export function shareOfHeap(percent: number): number {
  return (oldSpaceLimit([process.env.NODE_OPTIONS ?? "", ...process.execArgv]) * percent) / 100;
}

/**
 * The largest size of V8's old generation, in bytes: as the last `--max-old-space-size` among these options of Node says,
 * otherwise a low estimate.
 */
export function oldSpaceLimit(nodeOptions: readonly string[], heapLimit = getHeapStatistics().heap_size_limit): number {
  const given = [...nodeOptions.join(" ").matchAll(/--max[-_]old[-_]space[-_]size[= ](\d+)(?!\S)/g)].at(-1);
  return given ? Number(given[1]) * MIB : Math.max(heapLimit - MAX_YOUNG_BYTES, heapLimit / 2);
}
