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
   * Takes tokens, 1 unless told otherwise, all or none; more than the bucket can hold count as what it can hold. Gives 0
   * when they were there, and otherwise the time until they will be, in ms, with nothing taken.
   */
  take(name: string, tokens = 1): number {
    const now = this.options.clock.now().tick;
    const fullAt = this.#fullAfter(name, tokens, now);
    const waitMs = this.#wait(fullAt, now);
    if (waitMs === 0) this.#keep(name, fullAt);
    return waitMs;
  }

  /** What `take` would say, with nothing taken. */
  wait(name: string, tokens = 1): number {
    const now = this.options.clock.now().tick;
    return this.#wait(this.#fullAfter(name, tokens, now), now);
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

  /** When a bucket is full again once so many tokens are taken. */
  #fullAfter(name: string, tokens: number, now: number): number {
    return this.#fullAt(name, now) + Math.min(tokens, this.options.burst) * this.#msPerToken;
  }

  /** A bucket is overdrawn when it would need longer to fill than an empty one does. */
  #wait(fullAt: number, now: number): number {
    // The ticks are sums of fractions: what is a millionth of a millisecond short is there.
    return Math.max(0, Math.ceil(fullAt - now - this.#fillMs - 1e-6));
  }

  #keep(name: string, fullAt: number): void {
    this.#older.delete(name);
    this.#recent.set(name, fullAt);
    if (this.#recent.size > MOST_RECENT) this.#age();
    this.#timer ??= this.options.clock.setTimer(this.#fillMs, () => this.#forget());
  }

  /** What was not touched for as long as an empty bucket takes to fill is full. */
  #forget(): void {
    this.#age();
    this.#timer = this.#older.size > 0 ? this.options.clock.setTimer(this.#fillMs, () => this.#forget()) : undefined;
  }

  #age(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
