import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";

/** A stream that may not go on for ever. */
export interface ExpiringStream {
  /** Its caller's token has expired: ends it, as a drop. */
  expire(): void;
}

/** Ends the streams whose callers' tokens expire (S20). */
export class TokenExpiry {
  readonly #deadlines: Deadlines<ExpiringStream>;

  constructor(
    clock: Clock,
    /** How long a stream may outlive its token, in ms. Default 0. */
    private readonly graceMs: number,
  ) {
    // A token expires by the wall clock, whether or not this process ran meanwhile.
    const wallClock: Clock = {
      now: () => {
        const { wall } = clock.now();
        return { wall, tick: wall };
      },
      setTimer: (delayMs, fire) => clock.setTimer(delayMs, fire),
    };
    this.#deadlines = new Deadlines(wallClock, (stream) => stream.expire());
  }

  /** Ends the stream when its token expires, at `expiresAt` ms since 1970, unless it is forgotten before. */
  watch(stream: ExpiringStream, expiresAt: number | undefined): void {
    if (expiresAt !== undefined) this.#deadlines.set(stream, expiresAt + this.graceMs);
  }

  /** The stream has ended. */
  forget(stream: ExpiringStream): void {
    this.#deadlines.set(stream, undefined);
  }

  /** Stops waiting. */
  close(): void {
    this.#deadlines.clear();
  }
}
