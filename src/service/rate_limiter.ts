import type { Clock, Timer } from "../time/clock.js";

/** How often something may be done by each who does it. */
export interface RateLimiterOptions {
  readonly clock: Clock;
  /** Tokens that come back to each bucket in a second: more than 0. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds: 1 or more. */
  readonly burst: number;
}

/** Buckets of which something was lately taken that are kept at most, and as many older ones. */
const MOST_RECENT = 100_000;

/** How far below zero a bucket may go, in bursts. */
const MAX_OVERDRAFT = 10;

/**
 * A token bucket for each name. Kept is only when a bucket will be full again, and that no longer than until then (S23):
 * a name of which nothing is known has a full bucket. Of more than 100,000 names in that time, those that were silent
 * longest are forgotten early: whoever makes up names has a full bucket for each anyhow, and memory is bounded.
 */
export class RateLimiter {
  /** By name, the tick at which its bucket is full again. */
  #recent = new Map<string, number>();
  /** Those of which nothing was taken since the last look. */
  #older = new Map<string, number>();
  /** The tick at which all buckets of `#recent` are full. */
  #recentFullAt = 0;
  #timer: Timer | undefined;
  readonly #msPerToken: number;
  /** How long an empty bucket takes to fill, in ms. */
  readonly #fillMs: number;

  constructor(private readonly options: RateLimiterOptions) {
    this.#msPerToken = 1000 / options.perSecond;
    this.#fillMs = options.burst * this.#msPerToken;
  }

  /** How many buckets are kept. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /**
   * Takes tokens, all or none. Default: 1. More tokens than a full bucket holds are let in when the bucket is full, and
   * are all taken: the bucket is then below zero, by at most 10 bursts. With `needed`, that many tokens in the bucket are
   * enough. Gives 0 when the tokens were taken; otherwise nothing is taken, and it gives the time until they can be, in
   * ms.
   */
  take(name: string, tokens = 1, needed = tokens): number {
    const now = this.options.clock.now().tick;
    const fullAt = this.#fullAt(name, now);
    const waitMs = this.#wait(fullAt, needed, now);
    if (waitMs === 0) {
      const lowest = now + (1 + MAX_OVERDRAFT) * this.#fillMs;
      this.#keep(name, Math.min(fullAt + tokens * this.#msPerToken, lowest));
    }
    return waitMs;
  }

  /** What `take` would say, with nothing taken. */
  wait(name: string, tokens = 1): number {
    const now = this.options.clock.now().tick;
    return this.#wait(this.#fullAt(name, now), tokens, now);
  }

  /** Forgets everything. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#recent.clear();
    this.#older.clear();
  }

  #fullAt(name: string, now: number): number {
    return Math.max(now, this.#recent.get(name) ?? this.#older.get(name) ?? now);
  }

  /** How long until a bucket that is full at this tick holds `tokens` tokens, or is full. */
  #wait(fullAt: number, tokens: number, now: number): number {
    const fullAfter = fullAt + Math.min(tokens, this.options.burst) * this.#msPerToken;
    // The ticks are sums of fractions: what is a millionth of a millisecond short is there.
    return Math.max(0, Math.ceil(fullAfter - now - this.#fillMs - 1e-6));
  }

  #keep(name: string, fullAt: number): void {
    this.#older.delete(name);
    this.#recent.set(name, fullAt);
    this.#recentFullAt = Math.max(this.#recentFullAt, fullAt);
    if (this.#recent.size > MOST_RECENT) this.#age();
    this.#timer ??= this.options.clock.setTimer(this.#fillMs, () => this.#forget());
  }

  /** Drops the older buckets, which are full by now, and waits until those that were recent are. */
  #forget(): void {
    const waitMs = Math.max(this.#fillMs, this.#recentFullAt - this.options.clock.now().tick);
    this.#age();
    this.#timer = this.#older.size > 0 ? this.options.clock.setTimer(waitMs, () => this.#forget()) : undefined;
  }

  #age(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#recentFullAt = 0;
  }
}
