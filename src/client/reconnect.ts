import { setTimeout as sleep } from "node:timers/promises";
import { PresenceError } from "./presence_error.js";
import type { SubscriptionStatus } from "./status.js";

/** How a subscription or feed reconnects after its stream was lost. All times in milliseconds. */
export interface ReconnectOptions {
  /**
   * The first retry waits a random time up to this, each further one up to twice as long: 1 or more. Default: 1000.
   * Random from zero on, so that clients that were lost together do not come back together.
   */
  readonly minDelayMs?: number;
  /** What the waiting grows to at most: `minDelayMs` or more. Default: 5000. A server that asks for more gets it. */
  readonly maxDelayMs?: number;
  /**
   * How long to try for the first connection before it counts as failed; 0: one try. Default: 10 000. A
   * subscription or feed that was live tries until it is closed.
   */
  readonly connectTimeoutMs?: number;
}

/** ReconnectOptions with nothing left open. */
export type ReconnectPolicy = Required<ReconnectOptions>;

/** The policy that options stand for; undefined: a stream that is lost is not opened again. */
export function reconnectPolicy(options?: ReconnectOptions): ReconnectPolicy;
export function reconnectPolicy(options: ReconnectOptions | boolean | undefined): ReconnectPolicy | undefined;
export function reconnectPolicy(options: ReconnectOptions | boolean = true): ReconnectPolicy | undefined {
  if (options === false) return undefined;
  const {
    minDelayMs = 1000,
    maxDelayMs = Math.max(5000, minDelayMs),
    connectTimeoutMs = 10_000,
  } = options === true ? {} : options;
  return { minDelayMs, maxDelayMs, connectTimeoutMs };
}

/** Codes that a lost connection, a restart or a proxy's mood shows as. */
const PASSING: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "CANCELLED",
  "INTERNAL",
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "ABORTED",
]);

/** Whether the same call may succeed a little later, with nobody having changed anything. */
export function isPassing(error: unknown): error is PresenceError {
  if (!(error instanceof PresenceError)) return false;
  // Refused by this client itself, which is closed.
  if (error.cause === undefined) return false;
  if (error.retryAfterMs !== undefined) return true;
  return PASSING.has(error.code) && error.reason !== "SAME_USER_REPLACED" && error.reason !== "STATE_REVISION_MISMATCH";
}

/**
 * How long to wait before the `attempt`-th retry in a row (1, 2, …), in milliseconds: a random time below a bound that
 * doubles, and no less than the server asked for (RetryInfo).
 */
export function retryDelay(
  policy: ReconnectPolicy,
  attempt: number,
  error: PresenceError,
  random = Math.random,
): number {
  const bound = Math.min(policy.maxDelayMs, policy.minDelayMs * 2 ** (attempt - 1));
  return Math.ceil(Math.max(error.retryAfterMs ?? 0, random() * bound));
}

/** How long `close()` waits for a stream that was asked for and has not begun, in milliseconds. */
export const OPENING_TIMEOUT_MS = 5_000;

/** What `keepOpen` needs. */
export interface KeepOpenOptions<Message> {
  /** Starts a stream; aborting the signal cancels it. */
  open(signal: AbortSignal): AsyncIterable<Message>;
  /** Resolves when it makes sense to open a stream again; rejects when the signal is aborted. */
  usable(signal: AbortSignal): Promise<void>;
  /** What may be the cause where no stream begins in time, for the error message. */
  describeSilence(): string;
  /** Undefined: one stream, and its failure is the end. */
  readonly policy: ReconnectPolicy | undefined;
  /** Stops everything, a waiting included; the generator then fails with its reason. */
  readonly signal: AbortSignal;
  /** Told of every change but `closed`, which is the caller's to say. */
  onStatus(status: SubscriptionStatus): void;
}

/** One message, and whether it is the first of a stream. */
export interface Received<Message> {
  readonly message: Message;
  readonly first: boolean;
}

/**
 * The messages of a stream that is opened again whenever it is lost. Ends when the server ends a stream with OK; fails
 * with the first error that waiting does not cure.
 */
export async function* keepOpen<Message>(options: KeepOpenOptions<Message>): AsyncGenerator<Received<Message>, void> {
  const { open, usable, describeSilence, policy, signal, onStatus } = options;
  const patience = new Patience(policy, signal, describeSilence);
  let wasLive = false;
  let attempt = 0;
  try {
    for (;;) {
      let liveSince: number | undefined;
      let failure: PresenceError;
      try {
        for await (const message of open(patience.signal)) {
          const first = liveSince === undefined;
          if (first) {
            liveSince = performance.now();
            wasLive = true;
            patience.end();
            onStatus({ state: "live" });
          }
          yield { message, first };
        }
        return;
      } catch (error) {
        if (signal.aborted || !policy || !isPassing(error)) throw patience.lastReason(error);
        failure = error;
      }
      // One that falls down again and again must wait longer, although it was live in between.
      if (liveSince !== undefined && performance.now() - liveSince > policy.maxDelayMs) attempt = 0;
      attempt++;
      const retryInMs = retryDelay(policy, attempt, failure);
      patience.failed(failure, retryInMs);
      onStatus({ state: wasLive ? "reconnecting" : "connecting", attempt, reason: failure, retryInMs });
      await sleep(retryInMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      await usable(patience.signal).catch(() => {
        throw signal.aborted ? signal.reason : failure;
      });
    }
  } finally {
    patience.end();
  }
}

/** Waits for the first connection no longer than it is told to. */
class Patience {
  /** Aborted by the outer signal, or when the time is over. */
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #endsAt: number;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #reason: PresenceError | undefined;

  constructor(policy: ReconnectPolicy | undefined, signal: AbortSignal, describeSilence: () => string) {
    const timeoutMs = policy?.connectTimeoutMs ?? Number.POSITIVE_INFINITY;
    this.#endsAt = performance.now() + timeoutMs;
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    // With 0 the one try takes as long as it takes.
    if (timeoutMs > 0 && timeoutMs < MAX_TIMER_MS) {
      this.#timer = setTimeout(() => this.#over.abort(noAnswer(timeoutMs, describeSilence())), timeoutMs);
    }
  }

  /** A try failed and the next is `delayMs` away: throws when that is too late. */
  failed(reason: PresenceError, delayMs: number): void {
    this.#reason = reason;
    if (!this.#ended && performance.now() + delayMs > this.#endsAt) throw reason;
  }

  /** The first connection is made; from now on there is no hurry. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  /** What to fail with: when the time is over, why the last try failed says more than that it is. */
  lastReason(error: unknown): unknown {
    return this.#over.signal.aborted ? (this.#reason ?? error) : error;
  }
}

/** The longest delay that Node's timers take. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function noAnswer(timeoutMs: number, why: string): PresenceError {
  return new PresenceError(`no answer within ${timeoutMs} ms: ${why}`, { code: "DEADLINE_EXCEEDED" });
}
