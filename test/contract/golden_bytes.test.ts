import assert from "node:assert/strict";
import { ChannelType, PresenceEventSchema } from "../../gen/presence/v1/presence_pb.js";
import type { UserState } from "../../src/model/user_state.js";
import { eventCodec } from "../../src/wire/event_codec.js";
import { feedCodec } from "../../src/wire/feed_codec.js";
import { encodeUserState } from "../../src/wire/user_states.js";
import { encodeWritten } from "../../src/wire/write_response.js";
import { assertGolden } from "../support/golden.js";

/** 2026-01-01T12:00:00.25Z */
const TIME = 1_767_268_800_250;

const tony: UserState = {
  userId: "tony",
  states: { Mode: "Happy", Mic: "" },
  revision: 300,
  updateTime: TIME,
  joinTime: TIME - 1000,
};

/** As large as a revision can be of a channel, about, and of a pending state. */
const large = { position: { epoch: "e1", revision: 13_945_651_200_300 }, pending: 2 ** 53 - 1 };

/** Bytes as rows of 16, so that a difference shows where it is. */
function hex(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString("hex")
    .match(/.{1,32}/g)!
    .map((row) => row.match(/../g)!.join(" "));
}

describe("contract: the bytes of every kind of event", () => {
  it("are what they were, and those of the answer to a write", () => {
    const codec = eventCodec.forChannel({ type: ChannelType.STREAM, name: "chat_room" }, "e1");
    const base = { userId: "tony", revision: 300, time: TIME };
    const bytes = encodeUserState(tony);
    const chunk = {
      users: eventCodec.users([{ state: tony, bytes: undefined }], 1000),
      revision: 300,
      time: TIME,
      occupancy: 1,
      last: true,
    };
    const terms = {
      userId: "tony",
      sessionId: "s1",
      presenceTimeoutMs: 7500,
      resumed: true,
      occupancy: 2,
      heartbeatMs: 0,
    };
    const kinds = {
      subscribed: hex(codec.subscribed(terms, 299, TIME)),
      subscribed_heartbeat: hex(codec.subscribed({ ...terms, heartbeatMs: 12_500 }, 299, TIME)),
      snapshot: hex(Buffer.concat(codec.snapshot(chunk).parts)),
      interval: hex(
        codec.interval({
          joined: ["anna"],
          left: ["bob"],
          timedOut: ["carl"],
          changed: [bytes],
          revision: 304,
          time: TIME,
          occupancy: 2,
        }),
      ),
      remote_join: hex(codec.delta({ ...base, kind: "join", occupancy: 2, state: tony }, undefined)),
      remote_leave: hex(codec.delta({ ...base, kind: "leave", occupancy: 1 }, undefined)),
      remote_timeout: hex(codec.delta({ ...base, kind: "timeout", occupancy: 1 }, undefined)),
      remote_state_changed: hex(
        codec.delta(
          { ...base, kind: "state", state: tony, changedKeys: ["Mode"], removedKeys: ["Mood"], occupancy: 2 },
          bytes,
        ),
      ),
      channel_occupied: hex(codec.occupied({ ...base, kind: "join", occupancy: 1, state: tony })),
      channel_vacated: hex(codec.vacated({ ...base, kind: "leave", occupancy: 0 })),
      feed_subscribed: hex(feedCodec.subscribed(0, TIME)),
      feed_subscribed_heartbeat: hex(feedCodec.subscribed(12_500, TIME)),
      feed_complete: hex(feedCodec.complete(TIME)),
      large_revision: hex(codec.delta({ ...base, ...large.position, kind: "leave", occupancy: 1 }, undefined)),
      pending_state: hex(
        encodeWritten({
          state: { ...tony, revision: large.pending, updateTime: undefined, joinTime: undefined },
          pending: true,
          pendingExpireTime: TIME + 300_000,
          position: large.position,
        }),
      ),
      out_of_service: hex(feedCodec.lost("events were lost", TIME)),
    };
    const all = PresenceEventSchema.oneofs[0]!.fields.map(({ name }) => name);
    assert.deepEqual(
      all.filter((kind) => !(kind in kinds)),
      [],
      "kinds without golden bytes",
    );
    assertGolden("event_bytes.json", kinds);
  });
});

describe("contract: the bytes of the answer to a write", () => {
  it("are what they were", () => {
    const position = { epoch: "e1", revision: 300 };
    const pending = { userId: "tony", states: { Mic: "" }, revision: 0, updateTime: undefined, joinTime: undefined };
    const none = { pending: false, position, pendingExpireTime: undefined };
    assertGolden("answer_bytes.json", {
      present: hex(encodeWritten({ ...none, state: tony })),
      pending: hex(encodeWritten({ position, pending: true, state: pending, pendingExpireTime: TIME + 300_000 })),
      nothing_left: hex(encodeWritten({ ...none, pending: true, state: { ...pending, states: {} } })),
    });
  });
});
