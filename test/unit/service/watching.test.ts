import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { JoinChannelRequestSchema, WatchChannelsRequestSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import type { Caller } from "../../../src/service/caller.js";
import { FakeSink } from "../fanout/fake_sink.js";
import { authenticated, everywhere } from "./callers.js";
import { ROOM, refusal, room, World } from "./world.js";

const BACK_END: Caller = { userId: "back end" };

describe("service: watching channels", () => {
  const watch = (world: World, init = {}, sink = new FakeSink(), caller = BACK_END) =>
    world.service.watchChannels(caller, create(WatchChannelsRequestSchema, init), sink);

  it("S20 is refused to who does not hold the right to it, and begins nothing", async () => {
    const world = new World();
    const sink = new FakeSink();
    const ann = authenticated("ann", { channels: everywhere("read") });
    const { metadata } = await refusal("NOT_ALLOWED", () => watch(world, {}, sink, ann));
    assert.deepEqual(metadata, { right: "feed" });
    assert.deepEqual(sink.sizes, []);
    assert.deepEqual([world.service.openStreams, world.feed.stats().watchers.resyncing], [0, 0]);
  });

  it("S20 tells of the caller's app alone, and there of what the right is for", async () => {
    const world = new World();
    const halls = [{ pattern: "hall*", allow: ["feed" as const] }];
    const sink = new FakeSink();
    await watch(world, {}, sink, authenticated("back end", { app: "chat", channels: halls }));
    const named = new FakeSink();
    await refusal("NOT_ALLOWED", () =>
      watch(world, { channels: [ROOM] }, named, authenticated("back end", { app: "chat", channels: halls })),
    );
    const writers = ["chat", "", "game"].map((app) =>
      authenticated("ann", { app, channels: [{ pattern: "*", allow: ["write" as const] }] }),
    );
    for (const name of ["hall", "room"]) {
      for (const writer of writers) {
        await world.service.joinChannel(writer, create(JoinChannelRequestSchema, { channel: room(name) }));
      }
    }
    await world.settle();
    assert.deepEqual(sink.toldOfChannels(), ["SUBSCRIBED", "channeloccupied  1 @hall", "join ann 1 @hall"]);
    assert.deepEqual(named.sizes, []);
  });

  it("tells of the channels that were asked for, until the client has gone", async () => {
    const world = new World();
    const sink = new FakeSink();
    const { closed } = await watch(world, { channels: [ROOM], prefix: "lob" }, sink);
    for (const name of ["room", "other", "lobby"]) await world.joinLease("ann", { channel: room(name) });
    assert.equal(world.service.openStreams, 1);
    assert.deepEqual(sink.toldOfChannels(), [
      "SUBSCRIBED",
      "channeloccupied  1 @room",
      "join ann 1 @room",
      "channeloccupied  5 @lobby",
      "join ann 5 @lobby",
    ]);
    await closed("lost");
    await closed("cancelled");
    await world.leave("ann");
    assert.deepEqual(sink.take(), []);
    assert.deepEqual([sink.ended, world.service.openStreams], [undefined, 0]);
  });

  it("S4 S12 tells of no returns, and of no states that wait", async () => {
    const world = new World();
    const sink = new FakeSink();
    await watch(world, {}, sink);
    await world.set("ann", { mood: "fine" });
    const ann = await world.subscribe("ann");
    await ann.gone("lost");
    await world.subscribe("ann", { sessionId: ann.sessionId });
    await world.listen("monitor");
    assert.deepEqual(sink.toldOfChannels(), [
      "SUBSCRIBED",
      "channeloccupied  1 @room",
      "join ann 1 @room",
      "state ann 2 mood=fine @room",
    ]);
  });

  it("S24 is ended when the server goes down, and refused from then on", async () => {
    const world = new World();
    const sink = new FakeSink();
    const watching = await watch(world, {}, sink);
    world.service.drain();
    assert.equal(sink.ended?.error?.reason, "SERVER_DRAINING");
    assert.ok(sink.ended.error.retryAfterMs !== undefined);
    assert.equal(world.service.openStreams, 0);
    await watching.closed("lost");
    await refusal("SERVER_DRAINING", () => watch(world));
  });

  it("S16a is no open stream any more when the feed has ended it", async () => {
    const world = new World();
    const sink = new FakeSink();
    sink.stall();
    await watch(world, {}, sink);
    await world.pass(60_000);
    assert.equal(sink.ended?.error?.reason, "SUBSCRIBER_TOO_SLOW");
    assert.equal(world.service.openStreams, 0);

    const failing = new World({
      wrap: (engine) => new Proxy(engine, { get: (one, name) => (name === "watchAll" ? fail : bound(one, name)) }),
    });
    const unserved = new FakeSink();
    await watch(failing, {}, unserved);
    await failing.settle();
    assert.equal(unserved.ended?.error?.reason, "PRESENCE_OUT_OF_SERVICE");
    assert.equal(failing.service.openStreams, 0);
  });
});

function fail(): never {
  throw new Error("connection lost");
}

function bound(object: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(object, name);
  return typeof value === "function" ? value.bind(object) : value;
}
