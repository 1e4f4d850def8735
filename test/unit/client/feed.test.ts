import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { ChannelType } from "../../../gen/presence/v1/presence_pb.js";
import type { WatchChannelsRequest } from "../../../gen/presence/v1/presence_service_pb.js";
import { createPresenceClient, type PresenceClient } from "../../../src/client/index.js";
import {
  at,
  changed,
  type EventInit,
  FakeService,
  join,
  leave,
  NOON,
  refusal,
  snapshot,
  user,
} from "./fake_service.js";

/** An event without a channel. */
function ofFeed(event: EventInit["event"]): EventInit {
  return { time: { seconds: BigInt(NOON.getTime() / 1000), nanos: 0 }, event };
}

const begun = ofFeed({ case: "subscribed", value: {} });
const complete = ofFeed({ case: "snapshot", value: { last: true } });
const chat = { type: "message", name: "chat_room" } as const;

/** The event in another channel. */
function elsewhere(event: EventInit): EventInit {
  return { ...event, channel: { type: ChannelType.STREAM, name: "stage" } };
}

describe("feeds of the client", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  it("asks for channels, prefix and snapshots, and for all channels where nothing is said", async () => {
    const asked: unknown[] = [];
    for (const options of [{ channels: [chat], prefix: "game_", withSnapshot: true }, undefined]) {
      const iterator = presence.watchChannels(options)[Symbol.asyncIterator]();
      const first = iterator.next();
      const stream = await service.nextStream();
      stream.send(begun);
      assert.deepEqual((await first).value, { kind: "subscribed", channel: undefined, time: NOON });
      const { channels, prefix, withSnapshot } = stream.request as unknown as WatchChannelsRequest;
      asked.push([channels.map(({ type, name }) => [type, name]), prefix, withSnapshot]);
      await iterator.return!();
      await stream.cancelled;
    }
    assert.deepEqual(asked, [
      [[[ChannelType.MESSAGE, "chat_room"]], "game_", true],
      [[], "", false],
    ]);
  });

  it("gives each event its channel, and puts chunks together channel by channel", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(
      begun,
      snapshot(3, [user("anna")], false),
      elsewhere({ ...join(1, "tony"), userId: "", event: { case: "channelOccupied", value: {} } }),
      elsewhere(join(1, "tony")),
      elsewhere(snapshot(2, [user("tony")])),
      snapshot(3, [user("bob")]),
      complete,
      changed(4, "anna", { Mic: "True" }),
      { ...leave(5, "anna"), event: undefined },
      leave(6, "anna"),
      { ...leave(6, ""), event: { case: "channelVacated", value: {} } },
      ofFeed({ case: "outOfService", value: { description: "too slow" } }),
    );
    stream.end();
    const events = [(await first).value!];
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) events.push(next.value);
    const stage = { type: "stream", name: "stage" };
    assert.deepEqual(
      events.map((event) => [event.kind, event.channel]),
      [
        ["subscribed", undefined],
        ["occupied", stage],
        ["join", stage],
        ["snapshot", stage],
        ["snapshot", chat],
        ["complete", undefined],
        ["state_changed", chat],
        ["leave", chat],
        ["vacated", chat],
        ["out_of_service", undefined],
      ],
    );
    const [, occupied, , , whole] = events;
    assert.deepEqual(occupied, { kind: "occupied", channel: stage, position: at(1), time: NOON });
    assert.ok(whole?.kind === "snapshot");
    assert.deepEqual([...whole.members.keys()], ["anna", "bob"]);
  });

  it("voids an unfinished snapshot when events were lost", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    const lost = ofFeed({ case: "outOfService", value: { description: "too slow" } });
    stream.send(begun, snapshot(3, [user("anna")], false), lost, snapshot(3, [user("bob")]));
    await first;
    await iterator.next();
    const { value } = await iterator.next();
    assert.ok(value?.kind === "snapshot");
    assert.deepEqual([...value.members.keys()], ["bob"]);
    await iterator.return!();
  });

  it("fails with a PresenceError, once", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    (await service.nextStream()).fail(refusal(grpc.status.PERMISSION_DENIED, "not you"));
    await assert.rejects(first, { name: "PresenceError", code: "PERMISSION_DENIED" });
    assert.equal((await iterator.next()).done, true);
  });

  it("is ended by close(), by leaving the loop, and by closing the client, on the server too", async () => {
    const ends = [
      (feed: ReturnType<PresenceClient["watchChannels"]>) => feed.close(),
      (feed: ReturnType<PresenceClient["watchChannels"]>) => feed[Symbol.asyncDispose](),
      () => presence.close(),
    ];
    for (const end of ends) {
      const feed = presence.watchChannels();
      const iterator = feed[Symbol.asyncIterator]();
      const first = iterator.next();
      const stream = await service.nextStream();
      stream.send(begun);
      await first;
      const waiting = iterator.next();
      await end(feed);
      assert.deepEqual(await waiting, { done: true, value: undefined });
      await stream.cancelled;
    }
  });
});
