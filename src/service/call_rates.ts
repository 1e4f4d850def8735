import { userKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import type { Clock } from "../time/clock.js";
import { callerApp } from "./access.js";
import type { Caller } from "./caller.js";
import { RateLimiter } from "./rate_limiter.js";

/** How many calls a user may make. */
export interface CallRateSettings {
  /** Calls a second and user (S21); 0: any number. Default 20. */
  readonly rateLimit: number;
  /** How many a user who has been silent may make at once, 1 or more (S21). Default 40. */
  readonly rateBurst: number;
}

/** Renewals that count as one call: so much less does one cost. */
const RENEWALS_PER_CALL = 50;

/** Refusals that are kept for the next time: one for each time to wait, and a whole call's is 50 ms by default. */
const MOST_REFUSALS = 1000;

/** The methods whose requests carry what many calls would; how much, only the request tells. */
const CARRIERS: ReadonlySet<string> = new Set(["BatchSetState", "BatchJoinChannel", "Heartbeat"]);

/**
 * Who pays for a call, and how much (S21).
 *
 * A caller with a name pays for its own calls, before their requests are decoded. For a back end, which is a trusted
 * caller without a name or one whose token lets it act for others, each user pays for what is done in its name; what is
 * done in nobody's (queries, heartbeats, feeds) is free.
 *
 * All but `close` throw RATE_LIMITED, with the time until the call would be let in; then nothing was taken.
 */
export class CallRates {
  readonly #limiter: RateLimiter | undefined;
  /** By the time to wait, in ms. The same object for the same answer, so that it is encoded once. */
  readonly #refusals = new Map<number, PresenceError>();

  constructor(
    private readonly settings: CallRateSettings,
    clock: Clock,
  ) {
    const { rateLimit: perSecond, rateBurst: burst } = settings;
    this.#limiter = perSecond > 0 ? new RateLimiter({ clock, perSecond, burst }) : undefined;
  }

  /** A call has come, of which no more is known than who makes it. Of one that carries many, the rest is asked for later. */
  call(caller: Caller, method: string): void {
    if (!this.#limiter || isBackEnd(caller)) return;
    const user = userKey(callerApp(caller), caller.userId!);
    this.#refuseFor(CARRIERS.has(method) ? this.#limiter.wait(user) : this.#limiter.take(user));
  }

  /** A batch carries so many calls: let in as a whole or not at all, and never dearer than a full bucket. */
  batch(caller: Caller, entries: number): void {
    if (!isBackEnd(caller)) this.#take(caller, caller.userId!, entries);
  }

  /** A heartbeat carries so many renewals. */
  renewals(caller: Caller, count: number): void {
    if (!isBackEnd(caller)) this.#take(caller, caller.userId!, Math.ceil(count / RENEWALS_PER_CALL));
  }

  /** A call, or an entry of a batch, is about to be carried out for this user. */
  actingFor(caller: Caller, userId: string): void {
    if (isBackEnd(caller)) this.#take(caller, userId, 1);
  }

  /** Forgets everything. */
  close(): void {
    this.#limiter?.close();
  }

  /** Users of one id in two apps are two (S20). */
  #take(caller: Caller, userId: string, tokens: number): void {
    if (this.#limiter) this.#refuseFor(this.#limiter.take(userKey(callerApp(caller), userId), tokens));
  }

  #refuseFor(waitMs: number): void {
    if (waitMs === 0) return;
    let refusal = this.#refusals.get(waitMs);
    if (!refusal) {
      refusal = refusalOf(this.settings, waitMs);
      if (this.#refusals.size === MOST_REFUSALS) this.#refusals.clear();
      this.#refusals.set(waitMs, refusal);
    }
    throw refusal;
  }
}

function isBackEnd({ userId, grant }: Caller): boolean {
  return userId === undefined || (grant !== undefined && grant.actAs.length > 0);
}

function refusalOf({ rateLimit, rateBurst }: CallRateSettings, retryAfterMs: number): PresenceError {
  const allowed = `${rateLimit} calls a second and user, ${rateBurst} at once`;
  return new PresenceError("RATE_LIMITED", `too many calls: allowed are ${allowed}`, {
    metadata: { limit: String(rateLimit), burst: String(rateBurst) },
    retryAfterMs,
  });
}
