import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ChannelType, PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import { SubscribePresenceResponseSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import { createHistory } from "../../guarantees/history.js";
import { recordBegin, recordEnd, recordEvents } from "../../guarantees/record.js";

type EventInit = MessageInitShape<typeof PresenceEventSchema>;

const CHANNEL = { type: ChannelType.MESSAGE, name: "chat_room" };

function eventAt(revision: number, event: EventInit["event"], userId = ""): EventInit {
  return { channel: CHANNEL, position: { epoch: "e1", revision: BigInt(revision) }, userId, event };
}

function record(...messages: EventInit[][]) {
  const history = createHistory({ userId: "rosa" });
  recordBegin(history);
  for (const events of messages) recordEvents(history, create(SubscribePresenceResponseSchema, { events }));
  return history.items.slice(1);
}

const SUBSCRIBED: EventInit["event"] = { case: "subscribed", value: { sessionId: "s1", occupancy: 2 } };

describe("guarantees: recordEvents", () => {
  it("keeps every kind of event as plain data, in order, with its message", () => {
    const mina = { userId: "mina", states: { mic: "on" }, revision: 3n };
    const items = record(
      [
        eventAt(3, SUBSCRIBED, "rosa"),
        eventAt(3, { case: "snapshot", value: { users: [mina], last: true, occupancy: 2 } }),
      ],
      [
        eventAt(4, { case: "remoteJoin", value: { occupancy: 3 } }, "tony"),
        eventAt(5, { case: "remoteLeave", value: { occupancy: 2 } }, "tony"),
        eventAt(6, { case: "remoteTimeout", value: { occupancy: 1 } }, "eve"),
        eventAt(
          7,
          {
            case: "remoteStateChanged",
            value: { state: { ...mina, revision: 7n }, changedKeys: ["mic"], removedKeys: ["a"] },
          },
          "mina",
        ),
        eventAt(9, {
          case: "interval",
          value: { joined: ["a"], left: ["b"], timedOut: ["c"], changed: [mina], occupancy: 4 },
        }),
        eventAt(9, { case: "outOfService", value: { description: "gone" } }),
      ],
    );
    const plain = items.map((item) => {
      const { position, size, channel, ...rest } = item as Extract<typeof item, { size: number }>;
      assert.equal(channel, "MESSAGE/chat_room");
      assert.equal(position.epoch, "e1");
      assert.ok(size > 0);
      return { revision: position.revision, ...rest };
    });
    assert.deepEqual(plain, [
      { revision: 3n, kind: "subscribed", message: 0, sessionId: "s1", resumed: false, occupancy: 2 },
      { revision: 3n, kind: "snapshot", message: 0, users: [mina], last: true, occupancy: 2 },
      { revision: 4n, kind: "join", message: 1, userId: "tony", occupancy: 3 },
      { revision: 5n, kind: "leave", message: 1, userId: "tony", occupancy: 2 },
      { revision: 6n, kind: "timeout", message: 1, userId: "eve", occupancy: 1 },
      {
        revision: 7n,
        kind: "state",
        message: 1,
        userId: "mina",
        states: { mic: "on" },
        stateRevision: 7n,
        changedKeys: ["mic"],
        removedKeys: ["a"],
      },
      {
        revision: 9n,
        kind: "interval",
        message: 1,
        joined: ["a"],
        left: ["b"],
        timedOut: ["c"],
        changed: [mina],
        occupancy: 4,
      },
      { revision: 9n, kind: "out_of_service", message: 1, description: "gone" },
    ]);
  });

  it("keeps the size of the encoded event, and counts the messages of each stream from 0", () => {
    const users = [{ userId: "mina", states: { mode: "x".repeat(1000) } }];
    const snapshot = eventAt(1, { case: "snapshot", value: { users, last: true, occupancy: 1 } });
    const history = createHistory({ userId: "rosa" });
    const response = create(SubscribePresenceResponseSchema, { events: [snapshot] });
    for (const _ of ["first stream", "second stream"]) {
      recordBegin(history);
      recordEvents(history, response);
      recordEnd(history, { reason: "cut" });
    }
    const expected = toBinary(PresenceEventSchema, create(PresenceEventSchema, snapshot)).length;
    assert.deepEqual(
      history.items.map((item) => ("size" in item ? [item.size, item.message] : item.kind)),
      ["begin", [expected, 0], "end", "begin", [expected, 0], "end"],
    );
  });

  it("refuses what breaks the contract by itself", () => {
    const join: EventInit["event"] = { case: "remoteJoin", value: {} };
    const state: EventInit["event"] = { case: "remoteStateChanged", value: { state: { userId: "tony" } } };
    const bad: [RegExp, EventInit[]][] = [
      [/without events/, []],
      [/of no kind/, [eventAt(1, undefined)]],
      [/without a channel/, [{ ...eventAt(1, join, "mina"), channel: undefined }]],
      [/without a position/, [{ ...eventAt(1, join, "mina"), position: undefined }]],
      [/remoteJoin with the user id ""/, [eventAt(1, join)]],
      [/subscribed with the user id ""/, [eventAt(1, SUBSCRIBED)]],
      [/subscribed with the user id "mina"/, [eventAt(1, SUBSCRIBED, "mina")]],
      [/without a state/, [eventAt(1, { case: "remoteStateChanged", value: {} }, "mina")]],
      [/another user's state/, [eventAt(1, state, "mina")]],
    ];
    for (const [message, events] of bad) assert.throws(() => record(events), message);
  });

  it("refuses a response outside of a stream", () => {
    const history = createHistory({ userId: "rosa" });
    const response = create(SubscribePresenceResponseSchema, { events: [eventAt(1, SUBSCRIBED, "rosa")] });
    assert.throws(() => recordEvents(history, response), /call recordBegin first/);
    recordBegin(history);
    recordEvents(history, response);
    recordEnd(history);
    assert.throws(() => recordEvents(history, response), /call recordBegin first/);
  });
});
