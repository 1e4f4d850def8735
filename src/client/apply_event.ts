import type { PresenceEvent } from "./events.js";
import { withJson } from "./json.js";
import type { UserState } from "./types.js";

/**
 * Brings a channel's members from before an event to after it, and touches
 * nothing else. Applying a stream's events in their order gives exactly the
 * server's members as of the last position (S16, convergent).
 *
 * What is older than what the map shows of a user is passed over: that is how
 * the answer to one's own call may be put into the map before the stream tells
 * of it.
 */
export function applyEvent(members: Map<string, UserState>, event: PresenceEvent): void {
  switch (event.kind) {
    case "snapshot":
      members.clear();
      for (const [userId, state] of event.members) members.set(userId, state);
      return;
    case "join":
      join(members, event.userId, event.position.revision, event.time);
      return;
    case "leave":
    case "timeout":
      remove(members, event.userId, event.position.revision);
      return;
    case "state_changed":
      applyState(members, event.state, event.position.revision);
      return;
    case "interval":
      // The order is the contract's: who left and came back in between is in
      // several lists, and is present in the end.
      for (const userId of event.left) remove(members, userId, event.position.revision);
      for (const userId of event.timedOut) remove(members, userId, event.position.revision);
      for (const userId of event.joined) join(members, userId, event.position.revision, event.time);
      for (const state of event.changed) applyState(members, state, event.position.revision);
      return;
    case "subscribed":
    case "out_of_service":
      return;
  }
}

/**
 * Puts a user's whole state, as of a revision of the channel, into the map,
 * unless the map has a newer one. The state's own revision may be far below: it
 * is 0 for a user who left and came back without a state.
 */
export function applyState(members: Map<string, UserState>, state: UserState, asOf: bigint): void {
  if (!knowsLater(members, state.userId, asOf)) members.set(state.userId, state);
}

function join(members: Map<string, UserState>, userId: string, revision: bigint, joinTime: Date): void {
  if (knowsLater(members, userId, revision)) return;
  members.set(userId, withJson({ userId, states: {}, revision: 0n, joinTime }));
}

function remove(members: Map<string, UserState>, userId: string, revision: bigint): void {
  if (!knowsLater(members, userId, revision)) members.delete(userId);
}

function knowsLater(members: Map<string, UserState>, userId: string, revision: bigint): boolean {
  const known = members.get(userId);
  return known !== undefined && known.revision > revision;
}
