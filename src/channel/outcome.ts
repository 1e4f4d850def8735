import type { PresenceError } from "../model/errors.js";
import type { States } from "../model/user_state.js";
import type { PendingWrite, Session } from "./member.js";

/** A change that others hear of, before the channel's log has given it a revision. */
export type Change =
  | { readonly kind: "join" | "leave" | "timeout" }
  | {
      readonly kind: "state";
      readonly states: States;
      readonly changedKeys: readonly string[];
      readonly removedKeys: readonly string[];
    };

/** A session, or one attachment of it, that is over and whose stream is to be closed. */
export interface EndedSession {
  readonly sessionId: string;
  /** The attachment that is over; a later one of the same session goes on. `undefined`: a lease. */
  readonly attachment: number | undefined;
  readonly why: "left" | "replaced";
}

/** An entry of a batch is refused because an earlier one changed the state, whose revision only the commit tells. */
export interface Overtaken {
  readonly expectedRevision: number;
}

/** What became of an entry of a batch. */
export type EntryOutcome = "done" | Overtaken | PresenceError;

/** What a command makes of a member. */
export interface Outcome {
  readonly sessions: readonly Session[];
  /** The same object as the member's where it was not written. */
  readonly pending: PendingWrite | undefined;
  /** `Presence.lingersUntil` of a user who is present after the changes. */
  readonly lingersUntil: number | undefined;
  /** In order; each takes one revision. */
  readonly changes: readonly Change[];
  readonly ended: readonly EndedSession[];
  /** The session that a join made or took up. */
  readonly joined: { readonly session: Session; readonly resumed: boolean } | undefined;
  /** Of each entry of a batch; of other commands none. */
  readonly entries: readonly EntryOutcome[];
  /** Nothing is different from before, so nothing need be stored. */
  readonly unchanged: boolean;
}
