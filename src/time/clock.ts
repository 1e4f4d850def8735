/** A moment, told twice: for people, and for measuring how long something took. */
export interface Instant {
  /** Milliseconds since 1970, by the wall clock. It may jump; never compute a deadline from it. */
  readonly wall: number;
  /** Milliseconds on a clock that only goes forward. Its zero means nothing. */
  readonly tick: number;
}

/** A timer that was set and may be cancelled. */
export interface Timer {
  /** Stops the timer; after it fired, or a second time, this does nothing. */
  cancel(): void;
}

/** Where time comes from. Everything that waits takes one, so that a test can hold it still. */
export interface Clock {
  now(): Instant;
  /**
   * Calls `fire` once, after at least `delayMs` milliseconds. A timer does not keep the process alive.
   */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** The longest delay that Node's timers take, in milliseconds (about 24.8 days); beyond it they fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => ({ wall: Date.now(), tick: performance.now() }),
  setTimer(delayMs, fire) {
    const timeout = setTimeout(fire, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
