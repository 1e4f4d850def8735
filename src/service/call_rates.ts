import { SLICE_USERS } from "../engine/engine.js";
import type { OnSnapshotBytes } from "../fanout/ports.js";
import { userKey } from "../model/channel_id.js";
import type { Clock } from "../time/clock.js";
import { callerApp } from "./access.js";
import type { Caller } from "./caller.js";
import { RateLimit, type RateLimitOptions } from "./rate_limit.js";

/** How often users and apps may call and open streams (S21). A limit of 0: any number; a burst is 1 or more. */
export interface CallRateSettings {
  /** Calls a second and user. Default 20. */
  readonly rateLimit: number;
  /** How many a user who has been silent may make at once. Default 40. */
  readonly rateBurst: number;
  /** Calls a second of all users of an app together. Default 0. */
  readonly appRateLimit: number;
  /** How many an app that has been silent may make at once. Default 2000. */
  readonly appRateBurst: number;
  /** Streams that a user may open a second; each is a call as well. Default 5. */
  readonly streamRateLimit: number;
  /** How many a user who has opened none may open at once. Default 100. */
  readonly streamRateBurst: number;
  /** Streams that all users of an app together may open a second. Default 0. */
  readonly appStreamRateLimit: number;
  /** How many an app that has opened none may open at once. Default 2000. */
  readonly appStreamRateBurst: number;
}

/** Renewals that count as one call: so much less does one cost. */
const RENEWALS_PER_CALL = 50;

/** The methods whose requests carry what many calls would; how much, only the request tells. */
const CARRIERS: ReadonlySet<string> = new Set(["BatchSetState", "BatchJoinChannel", "Heartbeat"]);

/** Bytes of the SNAPSHOT of a new stream that cost as much as opening another one. */
const SNAPSHOT_BYTES_PER_STREAM = 1024 * 1024;

/** Whose buckets pay; `undefined`: none. */
interface Payers {
  readonly user: string | undefined;
  readonly app: string | undefined;
}

/** The limits of a user and of its app, as far as they are on. */
class Limits {
  /** The user's before its app's. */
  readonly #limits: readonly RateLimit[];

  constructor(...limits: readonly RateLimitOptions[]) {
    this.#limits = limits.filter(({ perSecond }) => perSecond > 0).map((limit) => new RateLimit(limit));
  }

  get areOn(): boolean {
    return this.#limits.length > 0;
  }

  /** Takes from each payer's bucket, or from none and throws; `needed`: tokens in each that are enough. */
  pay(payers: Payers, tokens: number, needed = tokens): void {
    // A single limit is all or nothing by itself: one look-up less for each call.
    if (this.#limits.length > 1) this.check(payers, needed);
    for (const limit of this.#limits) {
      const name = payers[limit.options.scope];
      if (name !== undefined) limit.take(name, tokens, needed);
    }
  }

  /** Throws as `pay` does, and takes nothing. */
  check(payers: Payers, tokens: number): void {
    for (const limit of this.#limits) {
      const name = payers[limit.options.scope];
      if (name !== undefined) limit.check(name, tokens);
    }
  }

  /** Takes from each payer's bucket, also what is not there. */
  charge(payers: Payers, tokens: number): void {
    for (const limit of this.#limits) {
      const name = payers[limit.options.scope];
      if (name !== undefined) limit.charge(name, tokens);
    }
  }

  close(): void {
    for (const limit of this.#limits) limit.close();
  }
}

/**
 * Who pays for a call, and how much: all prices are here (S21).
 *
 * A caller with a name pays for its own calls, before their requests are decoded. For a back end, which is a trusted
 * caller without a name or one whose token lets it act for others, each user pays for what is done in its name; what is
 * done in nobody's (queries, heartbeats, feeds) is free of the limits per user. The app pays for all of it. Who is over
 * its own limit takes nothing from its app's.
 *
 * All but `close` throw RATE_LIMITED, with the time until the call would be let in; then nothing was taken.
 */
export class CallRates {
  readonly #calls: Limits;
  readonly #streams: Limits;

  constructor(settings: CallRateSettings, clock: Clock) {
    const { rateLimit, rateBurst, streamRateLimit, streamRateBurst } = settings;
    const { appRateLimit, appRateBurst, appStreamRateLimit, appStreamRateBurst } = settings;
    this.#calls = new Limits(
      { clock, scope: "user", counts: "calls", perSecond: rateLimit, burst: rateBurst },
      { clock, scope: "app", counts: "calls", perSecond: appRateLimit, burst: appRateBurst },
    );
    this.#streams = new Limits(
      { clock, scope: "user", counts: "streams", perSecond: streamRateLimit, burst: streamRateBurst },
      { clock, scope: "app", counts: "streams", perSecond: appStreamRateLimit, burst: appStreamRateBurst },
    );
  }

  /** A call has come, of which no more is known than who makes it. Of one that carries many, the rest is asked for later. */
  call(caller: Caller, method: string): void {
    if (!this.#calls.areOn) return;
    if (CARRIERS.has(method)) this.#calls.check(ownPayers(caller), 1);
    else this.#calls.pay(ownPayers(caller), 1);
  }

  /**
   * A batch carries `entries` calls. It is let in as a whole or not at all: one of more entries than a full bucket holds
   * when the bucket is full. Each entry costs 1, and the bucket may go down to ten bursts below zero.
   */
  batch(caller: Caller, entries: number): void {
    this.#calls.pay(ownPayers(caller), entries);
  }

  /** A heartbeat carries so many renewals. */
  renewals(caller: Caller, count: number): void {
    this.#calls.pay(ownPayers(caller), Math.ceil(count / RENEWALS_PER_CALL));
  }

  /**
   * A query is about to examine this many users beyond the `SLICE_USERS` that its own price covers; 0 or less: none. It
   * is let in unless the bucket is below zero, and takes 1 for each `SLICE_USERS`: the bucket may go down to ten bursts
   * below zero, so a query in a channel of any size can be served, and the next calls wait.
   */
  examining(caller: Caller, users: number): void {
    if (users > 0) this.#calls.pay(ownPayers(caller), Math.ceil(users / SLICE_USERS), 0);
  }

  /** A call, or an entry of a batch, is about to be carried out for this user. */
  actingFor(caller: Caller, userId: string): void {
    if (isBackEnd(caller)) this.#calls.pay({ user: userKey(callerApp(caller), userId), app: undefined }, 1);
  }

  /**
   * A stream is about to be opened, for this user or for none. It costs 1 of the limits of streams, and then 1 for
   * each whole MiB of its first SNAPSHOT, for which it returns a function to be called with the bytes as they are written. A
   * return is never refused and costs its SNAPSHOT alone: a user who lost many streams has to come back with all.
   */
  stream(caller: Caller, userId: string | undefined, isReturn = false): OnSnapshotBytes | undefined {
    if (!this.#streams.areOn) return undefined;
    const app = callerApp(caller);
    const payers = isBackEnd(caller) && userId !== undefined ? { user: userKey(app, userId), app } : ownPayers(caller);
    if (!isReturn) this.#streams.pay(payers, 1);
    // Whole MiB alone, so that small channels cost nothing more.
    let uncharged = 0;
    return (bytes) => {
      uncharged += bytes;
      const tokens = Math.floor(uncharged / SNAPSHOT_BYTES_PER_STREAM);
      if (tokens === 0) return;
      uncharged -= tokens * SNAPSHOT_BYTES_PER_STREAM;
      this.#streams.charge(payers, tokens);
    };
  }

  /** Forgets everything. */
  close(): void {
    this.#calls.close();
    this.#streams.close();
  }
}

/** Who pays for what a caller does itself. Users of one id in two apps are two (S20). */
function ownPayers(caller: Caller): Payers {
  const app = callerApp(caller);
  return { user: isBackEnd(caller) ? undefined : userKey(app, caller.userId!), app };
}

function isBackEnd({ userId, grant }: Caller): boolean {
  return userId === undefined || (grant !== undefined && grant.actAs.length > 0);
}
