import type { Grant } from "../model/grant.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";

/** A stream that may not go on for ever. */
export interface ExpiringStream {
  /** Its caller's token has expired: ends it, as a drop. */
  expire(): void;
}

/** What the end of tokens depends on. */
export interface TokenExpiryOptions {
  readonly clock: Clock;
  /** How long a stream may outlive its token, in ms. Default 0. */
  readonly graceMs: number;
  /** Whether the key of this id, which signed a token, is still published. */
  readonly isKeyPublished: (keyId: string) => boolean;
}

/** Ends the streams whose callers' tokens expire, or whose tokens' keys are withdrawn (S20). */
export class TokenExpiry {
  readonly #deadlines: Deadlines<ExpiringStream>;
  readonly #byKey = new Map<string, Set<ExpiringStream>>();

  constructor(private readonly options: TokenExpiryOptions) {
    const { clock } = options;
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

  /**
   * Ends the stream when the caller's token expires and its grace has passed, or as soon as the key that signed the token
   * is withdrawn, unless the stream is forgotten before.
   */
  watch(stream: ExpiringStream, grant: Grant | undefined): void {
    const { expiresAt, keyId } = grant ?? {};
    if (expiresAt !== undefined) this.#deadlines.set(stream, expiresAt + this.options.graceMs);
    if (keyId === undefined) return;
    const streams = this.#byKey.get(keyId) ?? new Set();
    this.#byKey.set(keyId, streams.add(stream));
    // The key may have been withdrawn while the stream was let in.
    if (!this.options.isKeyPublished(keyId)) this.#withdraw(keyId, streams);
  }

  /** The stream has ended. */
  forget(stream: ExpiringStream): void {
    this.#deadlines.set(stream, undefined);
    for (const [keyId, streams] of this.#byKey) {
      if (streams.delete(stream) && streams.size === 0) this.#byKey.delete(keyId);
    }
  }

  /** Other keys are published than before: ends the streams of those that are withdrawn. */
  keysChanged(): void {
    for (const [keyId, streams] of this.#byKey) {
      if (!this.options.isKeyPublished(keyId)) this.#withdraw(keyId, streams);
    }
  }

  /** Stops waiting. */
  close(): void {
    this.#deadlines.clear();
    this.#byKey.clear();
  }

  /** By way of the deadlines, so that a great many streams do not end in one turn of the event loop. */
  #withdraw(keyId: string, streams: ReadonlySet<ExpiringStream>): void {
    this.#byKey.delete(keyId);
    for (const stream of streams) this.#deadlines.set(stream, 0);
  }
}
