import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import type { PresenceEvent as PresenceEventMessage, Snapshot } from "../../gen/presence/v1/presence_pb.js";
import type { PresenceEvent, SnapshotEvent } from "./events.js";
import { positionOf, userStateOf } from "./from_wire.js";
import { withJson } from "./json.js";
import type { Position, UserState } from "./types.js";

/** An event of a kind that this client does not know yet: it may be skipped, but its position counts. */
export interface UnknownEvent {
  readonly kind: "unknown";
  readonly position: Position;
}

/** Reads the events of one stream, in order, and puts the chunks of a snapshot together. */
export class EventReader {
  #unfinished: { position: Position; members: Map<string, UserState> } | undefined;

  /** The public form of the stream's next event; undefined for a chunk of a snapshot that is not complete yet. */
  read(message: PresenceEventMessage): PresenceEvent | UnknownEvent | undefined {
    const position = positionOf(message.position);
    // The field is always there by contract; the moment of arrival is the nearest truth without it.
    const time = message.time ? timestampDate(message.time) : new Date();
    const { event } = message;
    switch (event.case) {
      case "subscribed": {
        const { sessionId, presenceTimeout, resumed, occupancy } = event.value;
        const presenceTimeoutMs = presenceTimeout ? durationMs(presenceTimeout) : 0;
        return { kind: "subscribed", position, time, sessionId, presenceTimeoutMs, resumed, occupancy };
      }
      case "snapshot":
        return this.#gather(event.value, position, time);
      case "interval": {
        const { joined, left, timedOut, occupancy } = event.value;
        const changed = event.value.changed.map(userStateOf);
        return { kind: "interval", position, time, joined, left, timedOut, changed, occupancy };
      }
      case "remoteJoin":
        return { kind: "join", position, time, userId: message.userId, occupancy: event.value.occupancy };
      case "remoteLeave":
        return { kind: "leave", position, time, userId: message.userId, occupancy: event.value.occupancy };
      case "remoteTimeout":
        return { kind: "timeout", position, time, userId: message.userId, occupancy: event.value.occupancy };
      case "remoteStateChanged": {
        const { changedKeys, removedKeys } = event.value;
        const state = userStateOf(event.value.state);
        return { kind: "state_changed", position, time, userId: message.userId, state, changedKeys, removedKeys };
      }
      case "outOfService":
        return { kind: "out_of_service", position, time, description: event.value.description };
      case undefined:
        return { kind: "unknown", position };
    }
  }

  #gather(chunk: Snapshot, position: Position, time: Date): SnapshotEvent | undefined {
    if (!this.#unfinished || !samePosition(this.#unfinished.position, position)) {
      this.#unfinished = { position, members: withJson(new Map()) };
    }
    const { members } = this.#unfinished;
    for (const user of chunk.users) members.set(user.userId, userStateOf(user));
    if (!chunk.last) return undefined;
    this.#unfinished = undefined;
    return { kind: "snapshot", position, time, members, occupancy: chunk.occupancy };
  }
}

function samePosition(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.revision === b.revision;
}
