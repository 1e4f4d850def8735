import { type Clock, type Instant, systemClock, type Timer } from "../../src/time/clock.js";

interface Pending {
  readonly due: number;
  readonly fire: () => void;
  timer: Timer;
}

/**
 * The machine's clock, which a test can set forward: short waits pass by themselves, and long ones, such as a presence
 * timeout, only when the test says so. Servers that follow each other can share one, so that time goes on in a restart.
 */
export class SkippingClock implements Clock {
  readonly #pending = new Set<Pending>();
  #skipped = 0;

  constructor(private readonly base: Clock = systemClock) {}

  now(): Instant {
    const { wall, tick } = this.base.now();
    return { wall: wall + this.#skipped, tick: tick + this.#skipped };
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const pending: Pending = { due: this.now().tick + Math.max(0, delayMs), fire, timer: { cancel: () => {} } };
    this.#pending.add(pending);
    this.#wait(pending);
    return {
      cancel: () => {
        pending.timer.cancel();
        this.#pending.delete(pending);
      },
    };
  }

  /** Sets the clock forward by `ms` milliseconds. Fires the timers that become due, in the order of their times. */
  skip(ms: number): void {
    this.#skipped += ms;
    const now = this.now().tick;
    const all = [...this.#pending].sort((a, b) => a.due - b.due);
    for (const pending of all) {
      // A timer that fired before may have cancelled this one.
      if (!this.#pending.has(pending)) continue;
      pending.timer.cancel();
      if (pending.due <= now) this.#fire(pending);
      else this.#wait(pending);
    }
  }

  #wait(pending: Pending): void {
    pending.timer = this.base.setTimer(pending.due - this.now().tick, () => this.#fire(pending));
  }

  #fire(pending: Pending): void {
    this.#pending.delete(pending);
    pending.fire();
  }
}
