import type { ChannelId, Position, PresenceEvent, UserState } from "../../src/client/index.js";
import type { HeardItem, History, UserRecord } from "./history.js";
import { recordBegin } from "./record.js";

/**
 * Appends what our own client says to a history, as if its streams had been listened to: each `subscribed` begins a
 * stream that goes on from the position held before.
 */
export function recordClientEvent(history: History, channel: ChannelId, event: PresenceEvent): void {
  const heard = {
    channel: `${channel.type.toUpperCase()}/${channel.name}`,
    position: event.position,
    // The client hands over whole snapshots; what bytes they came in it does not know.
    size: 0,
    message: history.items.length,
  };
  if (event.kind === "subscribed") {
    const resumeFrom = heldPosition(history);
    recordBegin(history, resumeFrom && { resumeFrom });
  }
  history.items.push(toItem(event, heard));
}

/** The position of the last snapshot or event; SUBSCRIBED alone brings nothing to hold. */
function heldPosition(history: History): Position | undefined {
  const last = history.items.findLast(
    (item) => item.kind !== "begin" && item.kind !== "end" && item.kind !== "subscribed",
  );
  return last && "position" in last ? last.position : undefined;
}

function toItem(event: PresenceEvent, heard: Pick<HeardItem, "channel" | "position" | "size" | "message">): HeardItem {
  switch (event.kind) {
    case "subscribed": {
      const { kind, sessionId, resumed, occupancy } = event;
      return { ...heard, kind, sessionId, resumed, occupancy };
    }
    case "snapshot": {
      const users = [...event.members.values()].map(toUserRecord);
      return { ...heard, kind: "snapshot", users, last: true, occupancy: event.occupancy };
    }
    case "interval": {
      const { kind, joined, left, timedOut, changed, occupancy } = event;
      return { ...heard, kind, joined, left, timedOut, changed: changed.map(toUserRecord), occupancy };
    }
    case "join":
    case "leave":
    case "timeout":
      return { ...heard, kind: event.kind, userId: event.userId, occupancy: event.occupancy };
    case "state_changed": {
      const { userId, state, changedKeys, removedKeys } = event;
      const { states, revision } = state;
      return { ...heard, kind: "state", userId, states, stateRevision: revision, changedKeys, removedKeys };
    }
    case "out_of_service":
      return { ...heard, kind: "out_of_service", description: event.description };
  }
}

function toUserRecord({ userId, states, revision }: UserState): UserRecord {
  return { userId, states, revision };
}
