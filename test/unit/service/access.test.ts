import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { RIGHTS, type Right } from "../../../src/model/grant.js";
import type { EntryResult } from "../../../src/service/batch.js";
import type { Caller } from "../../../src/service/caller.js";
import { FakeSink } from "../fanout/fake_sink.js";
import { authenticated, everywhere } from "./callers.js";
import { refusal, room, World } from "./world.js";

const channel = room("room");
const other = { channel, userId: "bob" };

/** The result of a batch's only entry; throws what it failed with. */
function only(results: readonly EntryResult<unknown>[]): unknown {
  const [result] = results;
  if ("failed" in result!) throw result.failed;
  return result!.done;
}

describe("service: rights (S20)", () => {
  let world: World;
  let lease: string;
  let tonysLease: string;

  beforeEach(async () => {
    world = new World();
    lease = (await world.joinLease("bob")).sessionId;
    tonysLease = (await world.joinLease("tony")).sessionId;
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  /** Each call of the contract, and which of the rights let it through. */
  const CALLS: readonly [string, readonly Right[], (caller: Caller) => Promise<unknown>][] = [
    ["SetState", ["write"], (c) => world.service.setState(c, create(pb.SetStateRequestSchema, { channel }))],
    ["RemoveState", ["write"], (c) => world.service.removeState(c, create(pb.RemoveStateRequestSchema, { channel }))],
    ["GetState", ["read"], (c) => world.service.getState(c, create(pb.GetStateRequestSchema, other))],
    [
      "SubscribePresence",
      ["subscribe"],
      (c) => world.service.subscribe(c, create(pb.SubscribePresenceRequestSchema, { channel }), new FakeSink()),
    ],
    [
      "ListOnlineUsers",
      ["read"],
      (c) => world.service.listOnlineUsers(c, create(pb.ListOnlineUsersRequestSchema, { channel })),
    ],
    [
      "ListUserChannels",
      ["query"],
      (c) => world.service.listUserChannels(c, create(pb.ListUserChannelsRequestSchema, { userId: "bob" })),
    ],
    ["JoinChannel", ["write"], (c) => world.service.joinChannel(c, create(pb.JoinChannelRequestSchema, { channel }))],
    [
      "Heartbeat",
      ["write"],
      (c) => world.service.heartbeat(c, create(pb.HeartbeatRequestSchema, { sessionIds: [tonysLease] })),
    ],
    [
      "LeaveChannel",
      ["subscribe", "write"],
      (c) => world.service.leaveChannel(c, create(pb.LeaveChannelRequestSchema, { channel })),
    ],
    [
      "WatchChannels",
      ["feed"],
      (c) =>
        world.service.watchChannels(c, create(pb.WatchChannelsRequestSchema, { channels: [channel] }), new FakeSink()),
    ],
    [
      "BatchJoinChannel",
      ["write"],
      async (c) =>
        only(
          await world.service.batchJoinChannel(
            c,
            create(pb.BatchJoinChannelRequestSchema, { requests: [{ channel }] }),
          ),
        ),
    ],
    [
      "BatchSetState",
      ["write"],
      async (c) =>
        only(await world.service.batchSetState(c, create(pb.BatchSetStateRequestSchema, { requests: [{ channel }] }))),
    ],
  ];

  it("has a line here for every call of the contract", () => {
    assert.deepEqual(CALLS.map(([name]) => name).sort(), pb.PresenceService.methods.map(({ name }) => name).sort());
  });

  for (const [name, wanted, call] of CALLS) {
    it(`${name} needs ${wanted.join(" or ")}, in that very channel, and nothing else`, async () => {
      const rights = wanted.join(" or ");
      for (const right of RIGHTS) {
        const having = () => call(authenticated("tony", { channels: everywhere(right) }));
        if (wanted.includes(right)) continue;
        const { metadata } = await refusal("NOT_ALLOWED", having);
        assert.equal(metadata.right, rights, `with ${right} alone`);
        if (name !== "ListUserChannels") assert.equal(metadata.channel, "room");
      }
      const elsewhere = [{ pattern: "hall", allow: [...RIGHTS] }];
      if (name === "ListUserChannels") {
        const listed = (await call(authenticated("tony", { channels: elsewhere }))) as pb.ListUserChannelsResponse;
        assert.deepEqual(listed.channels, [], "channels without the right are not listed");
      } else {
        await refusal("NOT_ALLOWED", () => call(authenticated("tony", { channels: elsewhere })));
      }
      await call(authenticated("tony", { channels: [{ pattern: "ro*", allow: [wanted[0]!] }] }));
    });
  }

  it("a state to join with needs write beside subscribe", async () => {
    const request = create(pb.SubscribePresenceRequestSchema, { channel, initialStates: { Mic: "True" } });
    const listening = authenticated("ann", { channels: everywhere("subscribe") });
    const { metadata } = await refusal("NOT_ALLOWED", () =>
      world.service.subscribe(listening, request, new FakeSink()),
    );
    assert.deepEqual(metadata, { right: "write", channel: "room" });
    assert.ok(!(await world.online()).includes("ann"), "nothing happened");
  });

  it("a user sees where it is itself without any right, and where others are with query", async () => {
    await world.joinLease("bob", { channel: room("hall") });
    const where = async (caller: Caller, userId: string) => {
      const request = create(pb.ListUserChannelsRequestSchema, { userId });
      const { channels } = await world.service.listUserChannels(caller, request);
      return channels.map((one) => one.channel!.name);
    };
    assert.deepEqual(await where(authenticated("bob", { channels: [] }), ""), ["hall", "room"]);
    assert.deepEqual(await where(authenticated("ann", { channels: [], actAs: [{ pattern: "b*" }] }), "bob"), [
      "hall",
      "room",
    ]);
    const halls = [{ pattern: "hall", allow: ["query" as const] }];
    assert.deepEqual(await where(authenticated("ann", { channels: halls }), "bob"), ["hall"]);
  });

  it("S9 S17 nobody acts for a user that is not his own, by whatever call", async () => {
    const ann = authenticated("ann", { actAs: [{ pattern: "bot-*" }] });
    const attempts: (() => Promise<unknown>)[] = [
      () => world.service.setState(ann, create(pb.SetStateRequestSchema, other)),
      () => world.service.removeState(ann, create(pb.RemoveStateRequestSchema, other)),
      () => world.service.subscribe(ann, create(pb.SubscribePresenceRequestSchema, other), new FakeSink()),
      () => world.service.joinChannel(ann, create(pb.JoinChannelRequestSchema, other)),
      () => world.service.leaveChannel(ann, create(pb.LeaveChannelRequestSchema, other)),
      () => world.service.heartbeat(ann, create(pb.HeartbeatRequestSchema, { sessionIds: [lease] })),
      () =>
        world.service.subscribe(
          ann,
          create(pb.SubscribePresenceRequestSchema, { channel, sessionId: lease }),
          new FakeSink(),
        ),
    ];
    for (const attempt of attempts) await refusal("NOT_ALLOWED", attempt);
    const own = create(pb.LeaveChannelRequestSchema, { channel, sessionId: lease });
    await refusal("SESSION_NOT_FOUND", () => world.service.leaveChannel(ann, own));
    assert.deepEqual(await world.online(), ["bob", "tony"]);
    await world.service.setState(ann, create(pb.SetStateRequestSchema, { channel, userId: "bot-7" }));
    await refusal("NOT_ALLOWED", () =>
      world.service.setState(ann, create(pb.SetStateRequestSchema, { channel, userId: "robot-7" })),
    );
  });

  it("a stream ends when its token expires, as a drop, and its session can be taken up with a fresh one", async () => {
    const listener = await world.listen("listener");
    const now = world.clock.now().wall;
    const subscribe = async (expiresAt: number, sessionId = "") => {
      const sink: FakeSink = new FakeSink();
      const request = create(pb.SubscribePresenceRequestSchema, { channel, sessionId });
      const subscription = await world.service.subscribe(authenticated("ann", { expiresAt }), request, sink);
      await world.settle();
      const opening = sink.take()[0]!.event;
      assert.ok(opening.case === "subscribed");
      return { sink, subscription, ...opening.value };
    };
    const first = await subscribe(now + 60_000);
    assert.equal(listener.told().length, 1);
    await world.pass(59_999);
    assert.deepEqual([first.sink.ended], [undefined]);
    await world.pass(1);
    assert.equal(first.sink.ended?.error?.reason, "TOKEN_EXPIRED");
    assert.ok((await world.online()).includes("ann"), "present for its grace");
    const second = await subscribe(now + 600_000, first.sessionId);
    assert.ok(second.resumed);
    await world.heartbeat(undefined, [lease, tonysLease], { ttl: { seconds: 300n } });
    await world.pass(30_000);
    assert.deepEqual(
      listener.told().filter((line) => line.includes("ann")),
      [],
      "nobody noticed",
    );
    await second.subscription.closed("cancelled");
    await world.pass(600_000);
    assert.ok(!second.sink.ended, "a stream that is over is not ended again");
  });

  it("S20 streams end when the key of their token is withdrawn, as drops, and no others do", async () => {
    const full = [{ pattern: "*", allow: ["subscribe" as const, "feed" as const] }];
    const open = async (userId: string, keyId?: string) => {
      const sink = new FakeSink();
      const request = create(pb.SubscribePresenceRequestSchema, { channel: room("room") });
      await world.service.subscribe(authenticated(userId, { keyId }), request, sink);
      return sink;
    };
    const streams = [await open("tony", "old"), await open("anna", "new"), await open("mia")];
    const watching = new FakeSink();
    const every = create(pb.WatchChannelsRequestSchema, { prefix: "" });
    await world.service.watchChannels(authenticated("eve", { channels: full, keyId: "old" }), every, watching);
    const ended = () => [...streams, watching].map((sink) => sink.ended?.error?.reason);
    world.withdrawnKeys.add("old");
    world.service.keysChanged();
    await world.pass(0);
    assert.deepEqual(ended(), ["TOKEN_EXPIRED", undefined, undefined, "TOKEN_EXPIRED"]);
    assert.ok((await world.online()).includes("tony"), "for its grace");
    streams.push(await open("bob", "old"));
    await world.pass(0);
    assert.equal(streams.at(-1)!.ended?.error?.reason, "TOKEN_EXPIRED", "withdrawn while it was let in");
    await world.pass(30_000);
    assert.ok(!(await world.online()).includes("tony"));
  });
});
