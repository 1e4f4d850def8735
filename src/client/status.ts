import type { PresenceError } from "./presence_error.js";

/** The first stream is being opened. */
export interface Connecting {
  readonly state: "connecting";
  /** How many tries failed so far. */
  readonly attempt: number;
  /** Why the last try failed; undefined before the first has. */
  readonly reason: PresenceError | undefined;
  /** How long until the next try, from when this was told, in milliseconds; 0: it is under way. */
  readonly retryInMs: number;
}

/** The stream is open: `members` is the server's, give or take what is on its way. */
export interface Live {
  readonly state: "live";
}

/** The stream was lost and is being opened again; `members` stays as it was, and what is set meanwhile waits. */
export interface Reconnecting {
  readonly state: "reconnecting";
  /** How many times in a row it was lost or could not be opened. */
  readonly attempt: number;
  /** Why it was lost, or why the last try failed. */
  readonly reason: PresenceError;
  /** How long until the next try, from when this was told, in milliseconds. */
  readonly retryInMs: number;
}

/** Nothing will come any more. */
export interface Closed {
  readonly state: "closed";
  /** The error that ended it, or an aborted signal's reason; undefined when it was closed, here or by LeaveChannel. */
  readonly reason: unknown;
}

/** State of a subscription, or of a feed, which has no `members` and no writes. */
export type SubscriptionStatus = Connecting | Live | Reconnecting | Closed;

/** The state before the first stream was asked for. */
export const INITIAL_STATUS: Connecting = { state: "connecting", attempt: 0, reason: undefined, retryInMs: 0 };
