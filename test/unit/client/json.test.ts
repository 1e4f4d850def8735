import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { ChannelType, UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import { createPresenceClient, type PresenceClient, PresenceError } from "../../../src/client/index.js";
import * as fake from "./fake_service.js";
import { at, FakeService, NOON, reasonDetail, refusal, user } from "./fake_service.js";

const TIME = NOON.toISOString();
const STATE = {
  userId: "anna",
  states: { Mood: "good" },
  revision: "9007199254740993",
  updateTime: TIME,
  joinTime: TIME,
};
const POSITION = { epoch: "e1", revision: "7" };

/** A state whose revision a double cannot hold. */
const anna = () => ({ ...user("anna", { Mood: "good" }, 1), revision: 2n ** 53n + 1n });
const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("JSON.stringify of public values", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address, userId: "anna" });
    service.handlers.leaveChannel = () => ({});
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  it("writes answers, with revisions as decimal strings and times as ISO 8601", async () => {
    const channel = { type: "message", name: "chat_room" } as const;
    const answer = { sessionId: "s", state: anna(), position: at(7) };
    const result = { result: { case: "response" as const, value: answer } };
    service.handlers.getState = () => ({ state: anna() });
    service.handlers.setState = () => answer;
    service.handlers.joinChannel = () => answer;
    service.handlers.listOnlineUsers = () => ({ users: [anna()] });
    service.handlers.listUserChannels = () => ({
      channels: [{ channel: { type: ChannelType.MESSAGE, name: "chat_room" }, state: anna() }],
    });
    service.handlers.batchJoinChannel = () => ({ results: [result], statesOmitted: true });
    const room = presence.channel("chat_room");
    assert.deepEqual(json(await room.getState()), STATE);
    assert.deepEqual(json(await room.setState({})), { state: STATE, pending: false, position: POSITION });
    assert.deepEqual(json(await room.join()), { sessionId: "s", state: STATE, position: POSITION });
    for await (const found of room.onlineUsers()) assert.deepEqual(json(found), STATE);
    for await (const found of presence.channelsOf()) assert.deepEqual(json(found), { channel, state: STATE });
    const { states: _, ...withoutStates } = STATE;
    const value = { sessionId: "s", state: withoutStates, position: POSITION };
    assert.deepEqual(json(await presence.joinMany([{ channel }])), [{ ok: true, value }]);
  });

  it("writes every event, and the members as a list", async () => {
    const subscription = presence.channel("chat_room").subscribe({ includeSelf: true });
    const stream = await service.nextStream();
    const changed = { state: anna(), changedKeys: ["Mood"], removedKeys: [] };
    const interval = { joined: ["bob"], left: [], timedOut: [], changed: [anna()], occupancy: 2 };
    stream.send(
      fake.subscribed(1),
      fake.snapshot(2, [anna()]),
      fake.join(3, "bob"),
      fake.event(4, { userId: "anna", event: { case: "remoteStateChanged", value: changed } }),
      fake.leave(5, "bob"),
      fake.event(6, { event: { case: "interval", value: interval } }),
      fake.event(7, { event: { case: "outOfService", value: { description: "away" } } }),
    );
    const seen: unknown[] = [];
    for await (const event of subscription) {
      seen.push(json(event));
      if (event.kind === "join") {
        const bob = { userId: "bob", states: {}, revision: "0", joinTime: TIME };
        assert.deepEqual(json([...subscription.members.values()]), [STATE, bob]);
        assert.deepEqual(json(subscription.members), [STATE, bob]);
        assert.deepEqual(json(subscription.position), { epoch: "e1", revision: "3" });
      }
      if (event.kind === "out_of_service") break;
    }
    const base = (revision: number) => ({ position: { epoch: "e1", revision: `${revision}` }, time: TIME });
    assert.deepEqual(seen, [
      {
        kind: "subscribed",
        ...base(1),
        sessionId: "session-1",
        presenceTimeoutMs: 30_000,
        resumed: false,
        occupancy: 1,
      },
      { kind: "snapshot", ...base(2), members: [STATE], occupancy: 1 },
      { kind: "join", ...base(3), userId: "bob", occupancy: 2 },
      { kind: "state_changed", ...base(4), userId: "anna", state: STATE, changedKeys: ["Mood"], removedKeys: [] },
      { kind: "leave", ...base(5), userId: "bob", occupancy: 1 },
      { kind: "interval", ...base(6), ...interval, changed: [STATE] },
      { kind: "out_of_service", ...base(7), description: "away" },
    ]);
  });

  it("writes the snapshot of an iteration that begins late", async () => {
    const subscription = presence.channel("chat_room").subscribe();
    (await service.nextStream()).send(fake.subscribed(1), fake.snapshot(7, [anna()]));
    await subscription.ready;
    const events = subscription[Symbol.asyncIterator]();
    await events.next();
    const { value } = await events.next();
    assert.deepEqual(json(value), { kind: "snapshot", position: POSITION, time: TIME, members: [STATE], occupancy: 1 });
    await subscription.close();
  });

  it("writes the members that an application made of stored JSON", async () => {
    const stored = { ...STATE, revision: BigInt(STATE.revision), updateTime: NOON, joinTime: NOON };
    const resumeFrom = { position: at(7), members: new Map([["anna", stored]]) };
    const subscription = presence.channel("chat_room").subscribe({ resumeFrom });
    assert.deepEqual(json(subscription.members), [STATE]);
    assert.deepEqual(json([...subscription.members.values()]), [STATE]);
    (await service.nextStream()).send(fake.subscribed(7));
    await subscription.ready;
  });

  it("writes the events of a feed", async () => {
    const feed = presence.watchChannels()[Symbol.asyncIterator]();
    const next = feed.next();
    (await service.nextStream()).send(fake.snapshot(7, [anna()]));
    const channel = { type: "message", name: "chat_room" };
    const event = { kind: "snapshot", position: POSITION, time: TIME, members: [STATE], occupancy: 1, channel };
    assert.deepEqual(json((await next).value), event);
    await feed.return?.();
  });

  it("writes an error with its message and the current state", async () => {
    const details = [
      anyPack(UserStateSchema, create(UserStateSchema, anna())),
      reasonDetail("STATE_REVISION_MISMATCH"),
    ];
    service.handlers.setState = () => {
      throw refusal(grpc.status.ABORTED, "no", details);
    };
    const error = await presence
      .channel("chat_room")
      .setState({}, { expectedRevision: 1n })
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PresenceError);
    assert.deepEqual(json({ error }), {
      error: {
        name: "PresenceError",
        message: "no",
        code: "ABORTED",
        reason: "STATE_REVISION_MISMATCH",
        violations: [],
        metadata: {},
        currentState: STATE,
      },
    });
  });

  it("leaves values equal to literals, and able to be cloned", async () => {
    service.handlers.getState = () => ({ state: anna() });
    const state = await presence.channel("chat_room").getState();
    const literal = { ...anna(), updateTime: NOON, joinTime: NOON };
    assert.deepStrictEqual(state, literal);
    assert.deepStrictEqual(structuredClone(state), literal);
  });
});
