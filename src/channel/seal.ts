import type { Delta } from "../model/delta.js";
import { NO_STATES, type UserState } from "../model/user_state.js";
import type { Member, Pending, Presence } from "./member.js";
import type { Change, Outcome } from "./outcome.js";

/** Where a channel's history stands. */
export interface Head {
  readonly revision: number;
  /** How many users are present. */
  readonly occupancy: number;
}

/** An outcome that has taken its place in the channel's history. */
export interface Sealed {
  readonly member: Member;
  /** In order, with revisions that follow the head's without a gap. */
  readonly deltas: readonly Delta[];
  readonly head: Head;
}

const NO_DELTAS: readonly Delta[] = [];

/**
 * Gives the changes of an outcome their revisions, times and occupancies, after `head`, at `time` (ms since 1970), and a
 * pending state that was written the revision that `newPendingRevision` returns.
 *
 * Apart from `apply`, because only the engine knows the head at the moment of the commit, and because it depends on
 * other users' changes while `apply` does not: two users of a channel never conflict.
 */
export function seal(
  before: Member,
  outcome: Outcome,
  head: Head,
  time: number,
  newPendingRevision: () => number,
): Sealed {
  const { userId } = before;
  const { sessions } = outcome;
  const pending = nextPending(before.pending, outcome, newPendingRevision);
  let { presence } = before;
  if (outcome.changes.length === 0) {
    presence = lingering(presence, outcome.lingersUntil);
    return { member: { userId, sessions, presence, pending }, deltas: NO_DELTAS, head };
  }
  let { revision, occupancy } = head;
  const deltas: Delta[] = [];
  for (const change of outcome.changes) {
    revision += 1;
    if (change.kind === "join") occupancy += 1;
    if (change.kind === "leave" || change.kind === "timeout") occupancy -= 1;
    presence = nextPresence(userId, presence, change, revision, time);
    // Without a spread: one of an object with numbers beyond V8's small integers takes microseconds.
    switch (change.kind) {
      case "join":
        deltas.push({ kind: "join", userId, revision, time, occupancy, state: presence!.state });
        break;
      case "state": {
        const { changedKeys, removedKeys } = change;
        const { state } = presence!;
        deltas.push({ kind: "state", userId, revision, time, occupancy, state, changedKeys, removedKeys });
        break;
      }
      default:
        deltas.push({ kind: change.kind, userId, revision, time, occupancy });
    }
  }
  presence = lingering(presence, outcome.lingersUntil);
  return { member: { userId, sessions, presence, pending }, deltas, head: { revision, occupancy } };
}

function nextPending(
  before: Pending | undefined,
  { pending }: Outcome,
  newRevision: () => number,
): Pending | undefined {
  if (pending === before) return before;
  return pending && { states: pending.states, deadline: pending.deadline, revision: newRevision() };
}

function lingering(presence: Presence | undefined, lingersUntil: number | undefined): Presence | undefined {
  if (presence === undefined || presence.lingersUntil === lingersUntil) return presence;
  const { state, joinRevision } = presence;
  return lingersUntil === undefined ? { state, joinRevision } : { state, joinRevision, lingersUntil };
}

function nextPresence(
  userId: string,
  presence: Presence | undefined,
  change: Change,
  revision: number,
  wall: number,
): Presence | undefined {
  switch (change.kind) {
    case "join": {
      const state: UserState = { userId, states: NO_STATES, revision: 0, updateTime: undefined, joinTime: wall };
      return { state, joinRevision: revision };
    }
    case "state": {
      const { joinTime } = presence!.state;
      const state: UserState = { userId, states: change.states, revision, updateTime: wall, joinTime };
      return { state, joinRevision: presence!.joinRevision };
    }
    default:
      return undefined;
  }
}
