import { SLICE_USERS } from "../engine/engine.js";
import { userKey } from "../model/channel_id.js";
import type { Clock } from "../time/clock.js";
import { callerApp } from "./access.js";
import type { Caller } from "./caller.js";
import { RateLimit } from "./rate_limit.js";

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
  /** Streams that a user may open a second; each is a call as well. Default 0. */
  readonly streamRateLimit: number;
  /** How many a user who has opened none may open at once. Default 40. */
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

/** The methods that open a stream. */
const STREAMS: ReadonlySet<string> = new Set(["SubscribePresence", "WatchChannels"]);

/**
 * Who pays for a call, and how much (S21).
 *
 * A caller with a name pays for its own calls, before their requests are decoded. For a back end, which is a trusted
 * caller without a name or one whose token lets it act for others, each user pays for what is done in its name; what is
 * done in nobody's (queries, heartbeats, feeds) is free of the limits per user. The app pays for all of it. Who is over
 * its own limit takes nothing from its app's.
 *
 * All but `close` throw RATE_LIMITED, with the time until the call would be let in; then nothing was taken.
 */
export class CallRates {
  /** Those that are on; a user's before its app's. */
  readonly #limits: readonly RateLimit[];

  constructor(settings: CallRateSettings, clock: Clock) {
    const { rateLimit, rateBurst, streamRateLimit, streamRateBurst } = settings;
    const { appRateLimit, appRateBurst, appStreamRateLimit, appStreamRateBurst } = settings;
    this.#limits = (
      [
        { scope: "user", counts: "calls", perSecond: rateLimit, burst: rateBurst },
        { scope: "user", counts: "streams", perSecond: streamRateLimit, burst: streamRateBurst },
        { scope: "app", counts: "calls", perSecond: appRateLimit, burst: appRateBurst },
        { scope: "app", counts: "streams", perSecond: appStreamRateLimit, burst: appStreamRateBurst },
      ] as const
    )
      .filter(({ perSecond }) => perSecond > 0)
      .map((limit) => new RateLimit({ ...limit, clock }));
  }

  /** A call has come, of which no more is known than who makes it. Of one that carries many, the rest is asked for later. */
  call(caller: Caller, method: string): void {
    if (this.#limits.length === 0) return;
    const opensStream = STREAMS.has(method);
    if (CARRIERS.has(method)) this.#check(ownPayer(caller), callerApp(caller), 1, opensStream);
    else this.#pay(ownPayer(caller), callerApp(caller), 1, opensStream);
  }

  /**
   * A batch carries so many calls. It is let in as a whole or not at all: one of more entries than a full bucket holds
   * when the bucket is full. Each entry costs 1, and the bucket may go down to ten bursts below zero.
   */
  batch(caller: Caller, entries: number): void {
    this.#pay(ownPayer(caller), callerApp(caller), entries, false);
  }

  /** A heartbeat carries so many renewals. */
  renewals(caller: Caller, count: number): void {
    this.#pay(ownPayer(caller), callerApp(caller), Math.ceil(count / RENEWALS_PER_CALL), false);
  }

  /**
   * A query is about to examine this many users beyond the `SLICE_USERS` that its own price covers; 0 or less: none. It
   * needs 1 token, and takes 1 for each `SLICE_USERS`: the bucket may go down to ten bursts below zero, so a user of any
   * channel can be served, and its next calls wait.
   */
  examining(caller: Caller, users: number): void {
    if (users > 0) this.#pay(ownPayer(caller), callerApp(caller), Math.ceil(users / SLICE_USERS), false, 1);
  }

  /** A call, or an entry of a batch, is about to be carried out for this user; `opensStream`: the call opens one. */
  actingFor(caller: Caller, userId: string, opensStream = false): void {
    if (isBackEnd(caller)) this.#pay(userKey(callerApp(caller), userId), undefined, 1, opensStream);
  }

  /** Forgets everything. */
  close(): void {
    for (const limit of this.#limits) limit.close();
  }

  /** From every bucket that is concerned, or from none; absent, who does not pay. */
  #pay(user: string | undefined, app: string | undefined, tokens: number, opensStream: boolean, needed = tokens): void {
    // A single limit is all or nothing by itself: one look-up less for each call.
    if (this.#limits.length > 1) this.#check(user, app, needed, opensStream);
    for (const limit of this.#limits) {
      const name = payerOf(limit, user, app, opensStream);
      if (name !== undefined) limit.take(name, tokens, needed);
    }
  }

  #check(user: string | undefined, app: string | undefined, tokens: number, opensStream: boolean): void {
    for (const limit of this.#limits) {
      const name = payerOf(limit, user, app, opensStream);
      if (name !== undefined) limit.check(name, tokens);
    }
  }
}

/** Whose bucket of this limit pays; undefined: nobody's. */
function payerOf(
  { options: { scope, counts } }: RateLimit,
  user: string | undefined,
  app: string | undefined,
  opensStream: boolean,
): string | undefined {
  if (counts === "streams" && !opensStream) return undefined;
  return scope === "user" ? user : app;
}

/** Which user pays for what a caller does itself. Users of one id in two apps are two (S20). */
function ownPayer(caller: Caller): string | undefined {
  return isBackEnd(caller) ? undefined : userKey(callerApp(caller), caller.userId!);
}

function isBackEnd({ userId, grant }: Caller): boolean {
  return userId === undefined || (grant !== undefined && grant.actAs.length > 0);
}
