import type { Clock, Instant, Timer } from "../../src/time/clock.js";

/** Timers that one `advance` may fire; more of them is a timer that sets itself without a delay. */
const MOST_FIRINGS = 100_000;

interface Pending {
  readonly due: number;
  readonly fire: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Pending>();
  #wall: number;
  #tick: number;
  #advancing = false;

  /** Starts at `start` (default: wall 2026-01-01T00:00:00Z, tick 0). */
  constructor(start: Partial<Instant> = {}) {
    this.#wall = start.wall ?? Date.UTC(2026, 0, 1);
    this.#tick = start.tick ?? 0;
  }

  /** How many timers are set and have neither fired nor been cancelled. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Where the clock stands. */
  now(): Instant {
    return { wall: this.#wall, tick: this.#tick };
  }

  /** Like every clock's: never fires inside the call, however small the delay; below 0 is 0. NaN is refused. */
  setTimer(delayMs: number, fire: () => void): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError("a timer without a delay");
    const timer = { due: this.#tick + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /**
   * Lets `ms` milliseconds pass on both clocks. Fires the timers that become due, each at its time, in order; those of
   * the same time in the order in which they were set. Timers that are set meanwhile and become due fire too.
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`time does not go back: ${ms} ms`);
    if (this.#advancing) throw new Error("a timer may not advance the clock that fires it");
    this.#advancing = true;
    try {
      const end = this.#tick + ms;
      this.#fireUntil(end);
      this.#moveTo(end);
    } finally {
      this.#advancing = false;
    }
  }

  /** Sets the wall clock forward, or back with a negative number. No timer notices. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  #fireUntil(end: number): void {
    for (let firings = 0; ; firings++) {
      const next = this.#earliest();
      if (!next || next.due > end) return;
      if (firings === MOST_FIRINGS) throw new Error(`${MOST_FIRINGS} timers fired in one advance`);
      this.#timers.delete(next);
      this.#moveTo(next.due);
      next.fire();
    }
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    for (const timer of this.#timers) if (!earliest || timer.due < earliest.due) earliest = timer;
    return earliest;
  }

  #moveTo(tick: number): void {
    this.#wall += tick - this.#tick;
    this.#tick = tick;
  }
}
