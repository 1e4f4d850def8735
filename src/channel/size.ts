import { NO_STATES, type States } from "../model/user_state.js";
import type { Member, PendingWrite, Session } from "./member.js";
import type { Outcome } from "./outcome.js";

/*
 * Approximate memory of what is kept, in bytes, measured on the heap of Node 20: a user in a channel took 880 to 1230
 * bytes without its states, each further session 190, each pair of a state 50 and its characters, the label of a
 * session's device 30 and its characters.
 */
const MEMBER_BYTES = 900;
const SESSION_BYTES = 200;
const PAIR_BYTES = 50;
const DEVICE_BYTES = 30;

/** What a member takes, by kind. */
export interface MemberSize {
  /** 1 while anything is known of the member, otherwise 0. */
  readonly members: number;
  /** Sessions that are streams, attached or detached. */
  readonly streams: number;
  /** All sessions. */
  readonly sessions: number;
  /** 1 while states are pending, otherwise 0. */
  readonly pending: number;
  /** Approximate memory. */
  readonly bytes: number;
}

/** The size of a member of whom nothing is known. */
const NO_SIZE: MemberSize = { members: 0, streams: 0, sessions: 0, pending: 0, bytes: 0 };

/** The size of a member. O(pairs). */
export function sizeOf({ userId, sessions, presence, pending }: Member): MemberSize {
  return size(userId, sessions, presence?.state.states, pending);
}

/** The size of what an outcome makes of a member. O(pairs). */
export function sizeAfter({ userId, presence }: Member, { sessions, pending, changes }: Outcome): MemberSize {
  let states = presence?.state.states;
  for (const change of changes) {
    if (change.kind === "state") states = change.states;
    else states = change.kind === "join" ? NO_STATES : undefined;
  }
  return size(userId, sessions, states, pending);
}

/** `states`: `undefined` while the user is not present. */
function size(
  userId: string,
  sessions: readonly Session[],
  states: States | undefined,
  pending: PendingWrite | undefined,
): MemberSize {
  if (sessions.length === 0 && states === undefined && pending === undefined) return NO_SIZE;
  let streams = 0;
  let deviceBytes = 0;
  for (const session of sessions) {
    if (session.kind !== "stream") continue;
    streams += 1;
    if (session.deviceId !== undefined) deviceBytes += DEVICE_BYTES + session.deviceId.length;
  }
  return {
    members: 1,
    streams,
    sessions: sessions.length,
    pending: pending ? 1 : 0,
    bytes:
      MEMBER_BYTES +
      userId.length +
      SESSION_BYTES * sessions.length +
      deviceBytes +
      statesBytes(states ?? NO_STATES) +
      statesBytes(pending?.states ?? NO_STATES),
  };
}

function statesBytes(states: States): number {
  let bytes = 0;
  for (const key of Object.keys(states)) bytes += PAIR_BYTES + key.length + states[key]!.length;
  return bytes;
}
