import { PresenceError } from "../model/errors.js";
import type { Clock } from "../time/clock.js";
import { RateLimiter } from "./rate_limiter.js";

/** What is limited, whose it is, and to how much. */
export interface RateLimitOptions {
  readonly clock: Clock;
  /** Who has a bucket of its own. */
  readonly scope: "user" | "app";
  readonly counts: "calls" | "streams";
  /** How many a second: more than 0. */
  readonly perSecond: number;
  /** How many at once: 1 or more. */
  readonly burst: number;
}

/** Refusals that are kept for the next time: one for each time to wait, and a whole call's is 50 ms by default. */
const MOST_REFUSALS = 1000;

/** One of the limits of how often something may be done (S21), and what those are told who are over it. */
export class RateLimit {
  readonly #limiter: RateLimiter;
  /** By the time to wait, in ms. The same object for the same answer, so that it is encoded once. */
  readonly #refusals = new Map<number, PresenceError>();

  constructor(readonly options: RateLimitOptions) {
    this.#limiter = new RateLimiter(options);
  }

  /** Throws RATE_LIMITED, with the time to wait, unless so many tokens are in the bucket of this name; takes none. */
  check(name: string, tokens = 1): void {
    const waitMs = this.#limiter.wait(name, tokens);
    if (waitMs > 0) throw this.#refusal(waitMs);
  }

  /** Takes tokens; throws as `check` does, with nothing taken, unless `needed` of them are there (default: all). */
  take(name: string, tokens = 1, needed = tokens): void {
    const waitMs = this.#limiter.take(name, tokens, needed);
    if (waitMs > 0) throw this.#refusal(waitMs);
  }

  /** Takes tokens whether they are there or not: the bucket may go down to ten bursts below zero. */
  charge(name: string, tokens: number): void {
    this.#limiter.take(name, tokens, Number.NEGATIVE_INFINITY);
  }

  /** Forgets everything. */
  close(): void {
    this.#limiter.close();
  }

  #refusal(waitMs: number): PresenceError {
    const kept = this.#refusals.get(waitMs);
    if (kept) return kept;
    const { scope, counts, perSecond, burst } = this.options;
    const allowed = `${perSecond} ${counts} a second and ${scope}, ${burst} at once`;
    const refusal = new PresenceError("RATE_LIMITED", `too many ${counts}: allowed are ${allowed}`, {
      metadata: { scope, counts, limit: String(perSecond), burst: String(burst) },
      retryAfterMs: waitMs,
    });
    if (this.#refusals.size === MOST_REFUSALS) this.#refusals.clear();
    this.#refusals.set(waitMs, refusal);
    return refusal;
  }
}
