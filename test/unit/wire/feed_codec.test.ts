import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import { WatchChannelsResponseSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { feedCodec } from "../../../src/wire/feed_codec.js";

describe("wire: what a feed says of itself", () => {
  const time = timestampFromMs(1500);
  const eventsOf = (bytes: Uint8Array) => fromBinary(WatchChannelsResponseSchema, bytes).events;

  it("SUBSCRIBED, OUT_OF_SERVICE and the end of a round, without a channel or a position", () => {
    const cases = [
      [feedCodec.subscribed(0, 1500), { case: "subscribed", value: {} }],
      [
        feedCodec.subscribed(7500, 1500),
        { case: "subscribed", value: { heartbeatInterval: { seconds: 7n, nanos: 500_000_000 } } },
      ],
      [feedCodec.complete(1500), { case: "snapshot", value: { last: true } }],
      [feedCodec.lost("too slow", 1500), { case: "outOfService", value: { description: "too slow" } }],
    ] as const;
    for (const [piece, event] of cases) {
      assert.deepEqual(eventsOf(piece), [create(PresenceEventSchema, { time, event: event as never })]);
    }
  });

  it("fits beside what is encoded for subscribers, in one message", () => {
    const delta = { kind: "leave" as const, userId: "ann", revision: 1, time: 0, occupancy: 0 };
    const piece = eventCodec.forChannel({ type: 1, name: "a" }, "e").delta(delta, undefined);
    const events = eventsOf(Buffer.concat([feedCodec.subscribed(0, 1500), piece]));
    assert.deepEqual(
      events.map(({ event }) => event.case),
      ["subscribed", "remoteLeave"],
    );
  });
});
