import { PresenceError } from "../model/errors.js";
import type { Limits } from "../model/limits.js";
import type { UserState } from "../model/user_state.js";

/** TOO_MANY_CHANNELS: another channel would be one too many where the user has an attached stream or a lease. */
export function tooManyChannels(limit: number): PresenceError {
  return new PresenceError("TOO_MANY_CHANNELS", `the user takes part in ${limit} channels already; leave one`, {
    metadata: { limit: String(limit) },
  });
}

/** TOO_MANY_CHANNELS: another channel would be one too many where the user has a session, attached or detached. */
export function tooManyDetachedChannels(limit: number): PresenceError {
  const message = `the user has sessions in ${limit} channels already, counting those whose stream was lost; leave one`;
  return new PresenceError("TOO_MANY_CHANNELS", message, { metadata: { limit: String(limit) } });
}

/** TOO_MANY_SESSIONS: another session would be one too many for the user in the channel. */
export function tooManySessions({ maxSessionsPerUser: limit }: Limits): PresenceError {
  return new PresenceError("TOO_MANY_SESSIONS", `the user has ${limit} sessions in the channel already; leave one`, {
    metadata: { limit: String(limit) },
  });
}

/** CACHED_TOO_MANY_STATES: the user would have `total` pairs that wait for a join. */
export function tooManyPending(total: number, { maxPendingPairs: limit }: Limits): PresenceError {
  return new PresenceError(
    "CACHED_TOO_MANY_STATES",
    `the user would have ${total} pairs waiting in channels that it has not joined; ${limit} are allowed`,
    { metadata: { limit: String(limit), actual: String(total) } },
  );
}

/** SESSION_NOT_FOUND: `undefined` for none at all. */
export function sessionNotFound(sessionId: string | undefined): PresenceError {
  return sessionId === undefined
    ? new PresenceError("SESSION_NOT_FOUND", "the user has no session in this channel")
    : new PresenceError("SESSION_NOT_FOUND", `no session ${sessionId} of this user is alive in this channel`, {
        metadata: { session_id: sessionId },
      });
}

/** STATE_REVISION_MISMATCH: a compare-and-set met a state of another revision. */
export function revisionMismatch(expected: number, state: UserState): PresenceError {
  return mismatch(`the state is at revision ${state.revision}, not ${expected}`, expected, state);
}

/** STATE_REVISION_MISMATCH: an earlier entry of the same batch has changed the state, which is now this one. */
export function overtakenInBatch(expected: number, state: UserState): PresenceError {
  const message = `an earlier entry of the batch changed the state, which is at revision ${state.revision} now`;
  return mismatch(message, expected, state);
}

function mismatch(message: string, expected: number, state: UserState): PresenceError {
  return new PresenceError("STATE_REVISION_MISMATCH", message, {
    metadata: { expected: String(expected), actual: String(state.revision) },
    currentState: state,
  });
}
