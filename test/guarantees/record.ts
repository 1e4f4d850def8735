import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import {
  type Channel,
  ChannelType,
  type PresenceEvent,
  PresenceEventSchema,
  type UserState,
} from "../../gen/presence/v1/presence_pb.js";
import type { SubscribePresenceResponse } from "../../gen/presence/v1/presence_service_pb.js";
import type { BeginItem, EndItem, HeardItem, History, UserRecord } from "./history.js";

/** Notes that the reader opens a stream; call it before the first `recordEvents` of each stream. */
export function recordBegin(history: History, begin: Omit<BeginItem, "kind"> = {}): void {
  history.items.push({ kind: "begin", ...begin });
}

/** Notes that the reader's stream ended. A reader that is still listening at the check has no end. */
export function recordEnd(history: History, end: Omit<EndItem, "kind"> = {}): void {
  history.items.push({ kind: "end", ...end });
}

/**
 * Appends what one decoded response says. Throws an AssertionError when the message itself breaks the
 * contract: no events in it, an event of no kind, without a channel or a position, or one that names
 * its user wrongly.
 */
export function recordEvents(history: History, response: SubscribePresenceResponse): void {
  const previous = history.items.at(-1);
  assert.ok(
    previous && previous.kind !== "end",
    `${history.name}: a response came outside of a stream; call recordBegin first`,
  );
  assert.ok(response.events.length > 0, `${history.name}: a response without events`);
  const message = "message" in previous ? previous.message + 1 : 0;
  for (const event of response.events) history.items.push(toItem(event, message, history.userId));
}

function toItem(event: PresenceEvent, message: number, subscriber: string): HeardItem {
  const { channel, position, userId } = event;
  const kind = event.event.case;
  assert.ok(kind, "an event of no kind that this contract knows");
  assert.ok(channel, `${kind} without a channel`);
  assert.ok(position, `${kind} without a position`);
  const heard = {
    channel: channelWord(channel),
    position: { epoch: position.epoch, revision: position.revision },
    size: toBinary(PresenceEventSchema, event).length,
    message,
  };
  const named = kind === "subscribed" ? userId === subscriber : (userId !== "") === kind.startsWith("remote");
  assert.ok(named, `${kind} with the user id "${userId}"`);

  switch (event.event.case) {
    case "subscribed": {
      const { sessionId, resumed, occupancy } = event.event.value;
      return { ...heard, kind: "subscribed", sessionId, resumed, occupancy };
    }
    case "snapshot": {
      const { users, last, occupancy } = event.event.value;
      return { ...heard, kind: "snapshot", users: users.map(toUserRecord), last, occupancy };
    }
    case "interval": {
      const { joined, left, timedOut, changed, occupancy } = event.event.value;
      return { ...heard, kind: "interval", joined, left, timedOut, changed: changed.map(toUserRecord), occupancy };
    }
    case "remoteJoin":
      return { ...heard, kind: "join", userId, occupancy: event.event.value.occupancy };
    case "remoteLeave":
      return { ...heard, kind: "leave", userId, occupancy: event.event.value.occupancy };
    case "remoteTimeout":
      return { ...heard, kind: "timeout", userId, occupancy: event.event.value.occupancy };
    case "remoteStateChanged": {
      const { state, changedKeys, removedKeys } = event.event.value;
      assert.ok(state, "remoteStateChanged without a state");
      assert.equal(state.userId, userId, "remoteStateChanged with another user's state");
      return {
        ...heard,
        kind: "state",
        userId,
        states: state.states,
        stateRevision: state.revision,
        changedKeys,
        removedKeys,
      };
    }
    case "outOfService":
      return { ...heard, kind: "out_of_service", description: event.event.value.description };
  }
  throw new assert.AssertionError({ message: `an event of the kind ${kind}, which the recorder does not know` });
}

function toUserRecord(state: UserState): UserRecord {
  return { userId: state.userId, states: state.states, revision: state.revision };
}

function channelWord(channel: Channel): string {
  return `${ChannelType[channel.type] ?? channel.type}/${channel.name}`;
}
