import { type Clock, type Instant, systemClock, type Timer } from "./clock.js";

/** How often the clock looks whether time has jumped, in ms. */
const LOOK_MS = 500;

/** How much later than that a look may come, in ms, before what is beyond counts as time in which the process stood still. */
const TOLERANCE_MS = 1000;

/**
 * A clock whose ticks count only the time in which this process ran.
 *
 * A process that was stopped, a machine that was suspended or migrated: when it goes on, every deadline lies in the
 * past, while the heartbeats and returns that would have met them wait unread in its sockets. Counted by this clock the
 * deadlines move along, so nobody is timed out for the server's own absence, and nobody is kept longer than that. The
 * wall clock is passed on as it is; no deadline depends on it.
 */
export class RunningClock implements Clock {
  #lost = 0;
  #seen: number;
  #timer: Timer;

  /** Takes its time from `base` (default: the machine's). `close()` it when nobody needs it any more. */
  constructor(private readonly base: Clock = systemClock) {
    this.#seen = base.now().tick;
    this.#timer = base.setTimer(LOOK_MS, () => this.#look());
  }

  /** How long the process stood still so far, in ms, as far as it was noticed. */
  get lostMs(): number {
    return this.#lost;
  }

  now(): Instant {
    const { wall, tick } = this.base.now();
    const gap = tick - this.#seen;
    if (gap > LOOK_MS + TOLERANCE_MS) this.#lost += gap - LOOK_MS;
    this.#seen = tick;
    return { wall, tick: tick - this.#lost };
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    return this.base.setTimer(delayMs, fire);
  }

  /** Stops looking. */
  close(): void {
    this.#timer.cancel();
  }

  #look(): void {
    this.now();
    this.#timer = this.base.setTimer(LOOK_MS, () => this.#look());
  }
}
