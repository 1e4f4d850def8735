import type { States } from "../model/user_state.js";

/** A user takes part: by a stream, or by a lease. */
export interface Join {
  readonly kind: "join";
  /** The id for a new session; used unless `resume` is taken up. */
  readonly sessionId: string;
  readonly session:
    | { readonly kind: "stream"; readonly quiet: boolean; readonly timeoutMs: number }
    | { readonly kind: "lease"; readonly ttlMs: number };
  /** The id of a stream session to take up again (S4); unknown: an ordinary join. */
  readonly resume: string | undefined;
  /** The user's device, for a new session; "": the one without a label. A session that is taken up keeps its own. */
  readonly deviceId: string;
  /**
   * Merged over what is pending, or over the state of a user that is present already; ignored where a session of a
   * present user is taken up.
   */
  readonly initialStates: States;
}

/** A session's stream was lost (S3). */
export interface Detach {
  readonly kind: "detach";
  readonly sessionId: string;
  /** The attachment whose stream it was; a session that has been taken up since is left alone. */
  readonly attachment: number;
  /** The tick at which the stream was lost; `undefined`: now. */
  readonly since?: number | undefined;
}

/** A session ends by its user's will (S2). */
export interface Leave {
  readonly kind: "leave";
  /** `undefined`: all sessions of the user. */
  readonly sessionId: string | undefined;
  /** As in `Detach`; `undefined` ends the session whatever its stream. */
  readonly attachment: number | undefined;
}

/** A lease is renewed (S17). */
export interface Renew {
  readonly kind: "renew";
  readonly sessionId: string;
  /** `undefined`: what the lease had. */
  readonly ttlMs: number | undefined;
}

/** Nothing happened but that time went by. */
export interface Expire {
  readonly kind: "expire";
}

/** Sets keys (S9). */
export interface SetStates {
  readonly kind: "set";
  readonly states: States;
  readonly replace: boolean;
  /** Compare and set (S14). */
  readonly expectedRevision: number | undefined;
}

/** Deletes keys; none named: all (S10). */
export interface RemoveStates {
  readonly kind: "remove";
  readonly keys: readonly string[];
}

/** Several writes, or several joins, of one user by one request: together they are one change. */
export interface Batch {
  readonly kind: "batch";
  /** Carried out in this order, each all or nothing; one that is refused does not touch the others. */
  readonly entries: readonly (SetStates | Join)[];
}

/** What can happen to one user in one channel. */
export type Command = Join | Detach | Leave | Renew | Expire | SetStates | RemoveStates | Batch;
