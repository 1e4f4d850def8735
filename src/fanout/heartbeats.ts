import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";

/** The heartbeat of one stream. */
export interface Heartbeat {
  /** A message was written. The first one starts the heartbeat. */
  wrote(): void;
  /** The stream is over. */
  stop(): void;
}

interface Beating {
  readonly intervalMs: number;
  readonly send: () => void;
  /** When a message was written the last time. */
  wroteAt: number;
}

/**
 * Heartbeats of any number of streams, with one timer. A write on a stream only notes the time; when a stream's
 * heartbeat would be due, that decides whether it is.
 */
export class Heartbeats {
  readonly #due: Deadlines<Beating>;

  constructor(private readonly clock: Clock) {
    this.#due = new Deadlines(clock, (beating) => this.#beat(beating));
  }

  /** How many streams have a heartbeat that has started. */
  get size(): number {
    return this.#due.size;
  }

  /** Prepares a heartbeat: `send` is called whenever no message was written for `intervalMs`. */
  of(intervalMs: number, send: () => void): Heartbeat {
    let beating: Beating | undefined;
    return {
      wrote: () => {
        const wroteAt = this.clock.now().tick;
        if (beating) {
          beating.wroteAt = wroteAt;
          return;
        }
        beating = { intervalMs, send, wroteAt };
        this.#due.set(beating, wroteAt + intervalMs);
      },
      stop: () => {
        if (beating) this.#due.set(beating, undefined);
      },
    };
  }

  #beat(beating: Beating): void {
    const now = this.clock.now().tick;
    if (now - beating.wroteAt >= beating.intervalMs) {
      beating.wroteAt = now;
      beating.send();
    }
    this.#due.set(beating, beating.wroteAt + beating.intervalMs);
  }
}
