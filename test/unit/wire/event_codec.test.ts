import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { type PresenceEvent, PresenceEventSchema, UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import { SubscribePresenceResponseSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import type { Delta } from "../../../src/model/delta.js";
import type { UserState } from "../../../src/model/user_state.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { fromUserState } from "../../../src/wire/messages.js";
import { encodeUserState, encodeUsers } from "../../../src/wire/user_states.js";
import { property } from "../../support/property.js";

const text = fc.string({ unit: "binary", maxLength: 40 });
const key = fc.oneof({ weight: 5, arbitrary: text }, fc.constantFrom("__proto__", "toString", "0", ""));
const userId = text.filter((id) => id !== "");
const revision = fc.oneof(fc.nat(300), fc.integer({ min: 2 ** 32 - 2, max: 2 ** 32 + 2 }), fc.maxSafeNat());
const time = fc.oneof(fc.constantFrom(0, 999, 1000), fc.integer({ min: 0, max: 4e12 }));
const occupancy = fc.oneof(fc.nat(300), fc.constant(2 ** 32 - 1));
const channel = fc.record({ type: fc.constantFrom(1 as const, 2 as const), name: text });
const states = fc.array(fc.tuple(key, text), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs));

const userState: fc.Arbitrary<UserState> = fc.record({
  userId,
  states,
  revision,
  updateTime: fc.option(time, { nil: undefined }),
  joinTime: fc.option(time, { nil: undefined }),
});

/** The one event that a piece is. */
function eventOf(piece: Uint8Array): PresenceEvent {
  const { events } = fromBinary(SubscribePresenceResponseSchema, piece);
  assert.equal(events.length, 1);
  return events[0]!;
}

/** Compares an event with what was meant, by its canonical bytes: unknown fields and wrong defaults show too. */
function means(piece: Uint8Array, meant: Omit<PresenceEvent, "$typeName" | "$unknown">): void {
  const event = eventOf(piece);
  const expected = create(PresenceEventSchema, meant);
  assert.deepEqual(event, expected);
  assert.deepEqual(toBinary(PresenceEventSchema, event), toBinary(PresenceEventSchema, expected));
}

function envelope(channel: { type: 1 | 2; name: string }, epoch: string, revision: number, time: number) {
  const position = { $typeName: "presence.v1.Position" as const, epoch, revision: BigInt(revision) };
  return {
    channel: { $typeName: "presence.v1.Channel" as const, ...channel },
    position,
    time: timestampFromMs(time),
  };
}

describe("wire: events, as the generated types read them", () => {
  property("a state, whole, with any keys and values", [userState], (state) => {
    const decoded = fromBinary(UserStateSchema, encodeUserState(state));
    assert.deepEqual(decoded, fromUserState(state));
    assert.deepEqual(Object.entries(decoded.states).sort(), Object.entries(state.states).sort());
    assert.equal(decoded.revision, BigInt(state.revision));
    assert.deepEqual(eventCodec.state(state), encodeUserState(state));
  });

  for (const [kind, name] of [
    ["join", "remoteJoin"],
    ["leave", "remoteLeave"],
    ["timeout", "remoteTimeout"],
  ] as const) {
    property(
      `REMOTE_${kind.toUpperCase()}`,
      [channel, text, userState, occupancy, time],
      (channel, epoch, state, occupancy, time) => {
        const { userId, revision } = state;
        const delta = { kind, userId, revision, time, occupancy, ...(kind === "join" && { state }) } as Delta;
        const value = { $typeName: `presence.v1.Remote${name.slice(6)}`, occupancy };
        means(eventCodec.forChannel(channel, epoch).delta(delta, undefined), {
          ...envelope(channel, epoch, revision, time),
          userId,
          event: { case: name, value } as PresenceEvent["event"],
        });
      },
    );
  }

  const keys = fc.array(key, { maxLength: 4 });

  property(
    "REMOTE_STATE_CHANGED, from a state or from its bytes",
    [channel, text, userState, keys, keys, time],
    (channel, epoch, state, changedKeys, removedKeys, time) => {
      const { userId, revision } = state;
      const delta: Delta = { kind: "state", userId, revision, time, occupancy: 1, state, changedKeys, removedKeys };
      const codec = eventCodec.forChannel(channel, epoch);
      const meant: Omit<PresenceEvent, "$typeName" | "$unknown"> = {
        ...envelope(channel, epoch, revision, time),
        userId,
        event: {
          case: "remoteStateChanged",
          value: {
            $typeName: "presence.v1.RemoteStateChanged",
            state: fromUserState(state),
            changedKeys,
            removedKeys,
          },
        },
      };
      means(codec.delta(delta, undefined), meant);
      means(codec.delta(delta, encodeUserState(state)), meant);
    },
  );

  property(
    "SUBSCRIBED",
    [channel, text, text, text, fc.nat(300_000), fc.boolean(), occupancy, fc.nat(300_000), revision, time],
    (channel, epoch, userId, sessionId, presenceTimeoutMs, resumed, occupancy, heartbeatMs, revision, time) => {
      const terms = { userId, sessionId, presenceTimeoutMs, resumed, occupancy, heartbeatMs };
      means(eventCodec.forChannel(channel, epoch).subscribed(terms, revision, time), {
        ...envelope(channel, epoch, revision, time),
        userId,
        event: {
          case: "subscribed",
          value: {
            $typeName: "presence.v1.Subscribed",
            sessionId,
            presenceTimeout: durationFromMs(presenceTimeoutMs),
            resumed,
            occupancy,
            ...(heartbeatMs > 0 ? { heartbeatInterval: durationFromMs(heartbeatMs) } : {}),
          },
        },
      });
    },
  );

  property(
    "SNAPSHOT",
    [channel, text, fc.array(userState, { maxLength: 5 }), fc.boolean(), occupancy, revision, time],
    (channel, epoch, users, last, occupancy, revision, time) => {
      const given = users.map((state, i) => ({ state, bytes: i % 2 === 0 ? encodeUserState(state) : undefined }));
      const content = { users: encodeUsers(given, 200), revision, time, occupancy, last };
      const { parts, length } = eventCodec.forChannel(channel, epoch).snapshot(content);
      const message = Buffer.concat(parts);
      assert.equal(message.length, length);
      means(message, {
        ...envelope(channel, epoch, revision, time),
        userId: "",
        event: {
          case: "snapshot",
          value: { $typeName: "presence.v1.Snapshot", users: users.map(fromUserState), last, occupancy },
        },
      });
    },
  );

  const users = fc.array(userId, { maxLength: 4 });

  property(
    "INTERVAL",
    [channel, text, users, users, users, fc.array(userState, { maxLength: 5 }), occupancy, revision, time],
    (channel, epoch, joined, left, timedOut, states, occupancy, revision, time) => {
      const changed = states.map(encodeUserState);
      const changes = { joined, left, timedOut, changed, revision, time, occupancy };
      means(eventCodec.forChannel(channel, epoch).interval(changes), {
        ...envelope(channel, epoch, revision, time),
        userId: "",
        event: {
          case: "interval",
          value: {
            $typeName: "presence.v1.Interval",
            joined,
            left,
            timedOut,
            changed: states.map(fromUserState),
            occupancy,
          },
        },
      });
    },
  );

  property(
    "CHANNEL_OCCUPIED and CHANNEL_VACATED, at the position of what caused them",
    [channel, text, userId, occupancy, revision, time],
    (channel, epoch, userId, occupancy, revision, time) => {
      const codec = eventCodec.forChannel(channel, epoch);
      const delta = { kind: "leave" as const, userId, revision, time, occupancy };
      const meant = { ...envelope(channel, epoch, revision, time), userId: "" };
      means(codec.occupied(delta), {
        ...meant,
        event: { case: "channelOccupied", value: { $typeName: "presence.v1.ChannelOccupied" } },
      });
      means(codec.vacated(delta), {
        ...meant,
        event: { case: "channelVacated", value: { $typeName: "presence.v1.ChannelVacated" } },
      });
    },
  );

  property("pieces side by side are one message of all of them", [channel, fc.array(userId)], (channel, users) => {
    const codec = eventCodec.forChannel(channel, "e");
    const pieces = users.map((userId, i) =>
      codec.delta({ kind: "leave", userId, revision: i + 1, time: 0, occupancy: 0 }, undefined),
    );
    const { events } = fromBinary(SubscribePresenceResponseSchema, Buffer.concat(pieces));
    assert.deepEqual(
      events.map((event) => event.userId),
      users,
    );
  });
});
