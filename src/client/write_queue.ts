import { setTimeout as sleep } from "node:timers/promises";
import { onAbort } from "./abort.js";
import { deferred } from "./deferred.js";
import { PresenceError } from "./presence_error.js";
import { isPassing, type ReconnectPolicy, retryDelay } from "./reconnect.js";
import type { StateResult, UserState } from "./types.js";

/** A change of one's own state. */
export type Write =
  | {
      readonly kind: "set";
      readonly states: Readonly<Record<string, string>>;
      readonly replace?: boolean;
      readonly expectedRevision?: bigint;
    }
  | { readonly kind: "remove"; readonly keys: readonly string[] }
  /** Sets the keys of a state that the server forgot, unless they were set since. */
  | { readonly kind: "restore"; readonly lost: UserState };

/** Carries a write out. */
export type Send = (write: Write, signal: AbortSignal | undefined) => Promise<StateResult>;

/** How many writes may wait for the stream's return. */
export const MOST_WAITING = 1000;

/** How often in a row a write fails while the stream is live before its caller is told. */
const MOST_TRIES = 5;

interface Waiting {
  readonly write: Write;
  readonly signal: AbortSignal | undefined;
  /** Its place among all writes: what was sent and failed goes back to where it was. */
  readonly order: number;
  /** Refused together with others: it must stand for itself. */
  alone: boolean;
  resolve(result: StateResult): void;
  reject(reason: unknown): void;
}

/**
 * Sends writes at once while the stream is live, and keeps them, in their order, while it is away. What a lost
 * connection left in doubt is sent again: merging the same pairs twice is the same as once. A write with
 * `expectedRevision` is not, when it was sent already: its caller is told.
 *
 * Sets that waited together go out as one, so that the others hear of where a user is now and not of how it got there.
 */
export class WriteQueue {
  readonly #waiting: Waiting[] = [];
  #held = false;
  #draining = false;
  #sent = 0;
  /** The latest write that was carried out: what came before it is not sent again, lest the older win. */
  #latest = -1;
  readonly #closed = new AbortController();

  constructor(
    private readonly send: Send,
    private readonly policy: ReconnectPolicy,
  ) {}

  /** How many writes wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Carries a write out, now or when the stream is back. */
  async push(write: Write, signal?: AbortSignal): Promise<StateResult> {
    signal?.throwIfAborted();
    const order = this.#sent++;
    if (!this.#held && !this.#draining && this.#waiting.length === 0) {
      try {
        const result = await this.send(write, signal);
        this.#latest = Math.max(this.#latest, order);
        return result;
      } catch (error) {
        const isInDoubt = isPassing(error) && isRepeatable(write) && order > this.#latest;
        if (!isInDoubt || signal?.aborted || this.#closed.signal.aborted) throw error;
      }
    }
    return this.#enqueue(write, signal, order);
  }

  /** Before all that waits: gives a user back the state that the server forgot. */
  restore(lost: UserState): void {
    if (this.#waiting[0]?.write.kind === "restore") return;
    // Nobody waits for it, and what the server has to say against it the members show.
    this.#enqueue({ kind: "restore", lost }, undefined, -1).catch(() => {});
  }

  /** The stream was lost: what is pushed from now on waits. */
  hold(): void {
    this.#held = true;
  }

  /** The stream is live: sends what waits. */
  release(): void {
    this.#held = false;
    void this.#drain();
  }

  /** Sends nothing any more; what waits fails with the error. */
  close(error: unknown): void {
    this.#held = true;
    this.#closed.abort(error);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #enqueue(write: Write, signal: AbortSignal | undefined, order: number): Promise<StateResult> {
    if (this.#closed.signal.aborted) return Promise.reject(this.#closed.signal.reason);
    if (this.#waiting.length >= MOST_WAITING) {
      const message = `${MOST_WAITING} changes wait already for the connection's return`;
      return Promise.reject(new PresenceError(message, { code: "RESOURCE_EXHAUSTED" }));
    }
    const { promise, resolve, reject } = deferred<StateResult>();
    const waiting: Waiting = { write, signal, order, alone: false, resolve, reject };
    const place = this.#waiting.findIndex((other) => other.order > order);
    this.#waiting.splice(place === -1 ? this.#waiting.length : place, 0, waiting);
    const abort = (): void => {
      const index = this.#waiting.indexOf(waiting);
      if (index !== -1) this.#waiting.splice(index, 1);
      reject(signal?.reason);
    };
    const unfollow = signal && onAbort(signal, abort);
    if (!this.#held) void this.#drain();
    return promise.finally(unfollow);
  }

  async #drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    let tries = 0;
    while (!this.#held && this.#waiting.length > 0) {
      const together = this.#takeTogether();
      try {
        const result = await this.send(merged(together), together.length === 1 ? together[0]!.signal : undefined);
        for (const waiting of together) waiting.resolve(result);
        tries = 0;
      } catch (error) {
        tries++;
        await this.#failed(together, error, tries);
      }
    }
    this.#draining = false;
  }

  /** Puts back what may yet succeed, and waits where waiting helps; tells the callers of the rest. */
  async #failed(together: readonly Waiting[], error: unknown, tries: number): Promise<void> {
    if (isPassing(error) && together.every(({ write }) => isRepeatable(write)) && (this.#held || tries < MOST_TRIES)) {
      this.#putBack(together);
      if (this.#held) return;
      const delayMs = retryDelay(this.policy, tries, error);
      await sleep(delayMs, undefined, { signal: this.#closed.signal }).catch(() => {});
    } else if (together.length > 1) {
      for (const waiting of together) waiting.alone = true;
      this.#putBack(together);
    } else {
      for (const waiting of together) waiting.reject(error);
    }
  }

  /** The first that waits, and all plain sets behind it if it is one. */
  #takeTogether(): Waiting[] {
    const isPlain = ({ write, alone }: Waiting): boolean =>
      !alone && write.kind === "set" && !write.replace && write.expectedRevision === undefined;
    const end = this.#waiting.findIndex((waiting) => !isPlain(waiting));
    return this.#waiting.splice(0, Math.max(1, end === -1 ? this.#waiting.length : end));
  }

  #putBack(together: readonly Waiting[]): void {
    if (this.#closed.signal.aborted) {
      for (const waiting of together) waiting.reject(this.#closed.signal.reason);
    } else {
      this.#waiting.unshift(...together.filter(({ signal }) => !signal?.aborted));
    }
  }
}

/** Whether carrying it out twice is the same as once. */
function isRepeatable(write: Write): boolean {
  return write.kind !== "set" || write.expectedRevision === undefined;
}

function merged(together: readonly Waiting[]): Write {
  if (together.length === 1) return together[0]!.write;
  // Not Object.assign, which sets the prototype instead of a key named `__proto__`.
  const states = Object.fromEntries(
    together.flatMap(({ write }) => Object.entries((write as { states: Readonly<Record<string, string>> }).states)),
  );
  return { kind: "set", states };
}
