import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { ROOM, World, type WorldOptions } from "./world.js";

describe("service: whether a present user is detached", () => {
  let world: World;
  beforeEach(() => begin());

  function begin(options: WorldOptions = {}): void {
    world = new World(options);
  }

  /** What all queries say of the user; they must agree. */
  async function isDetached(userId = "ann"): Promise<boolean> {
    const { service } = world;
    const caller = { userId: "anybody" };
    const answers = [
      (await service.getState(caller, create(pb.GetStateRequestSchema, { channel: ROOM, userId }))).state,
    ];
    for (const init of [
      {},
      { includeStates: true },
      { userIds: [userId] },
      { userIds: [userId], includeStates: true },
    ]) {
      const request = create(pb.ListOnlineUsersRequestSchema, { channel: ROOM, ...init });
      answers.push(...(await service.listOnlineUsers(caller, request)).users);
    }
    const where = create(pb.ListUserChannelsRequestSchema, { userId });
    answers.push(...(await service.listUserChannels(caller, where)).channels.map(({ state }) => state));
    const detached = answers.flatMap((state) => (state?.userId === userId ? [state.detached] : []));
    assert.equal(detached.length, 6, "every query answers");
    assert.equal(new Set(detached).size, 1, `the queries disagree: ${detached}`);
    return detached[0]!;
  }

  it("while none of its streams is attached, until it returns", async () => {
    const phone = await world.subscribe("ann", { deviceId: "phone" });
    const desktop = await world.subscribe("ann", { deviceId: "desktop" });
    assert.equal(await isDetached(), false);
    await phone.gone("lost");
    assert.equal(await isDetached(), false, "one of two");
    await desktop.gone("lost");
    assert.equal(await isDetached(), true);
    await world.subscribe("ann", { sessionId: phone.sessionId });
    assert.equal(await isDetached(), false);
  });

  it("not while it has a lease, which counts until it runs out", async () => {
    const stream = await world.subscribe("ann");
    await world.joinLease("ann", { ttl: { seconds: 5n }, deviceId: "other" });
    await stream.gone("lost");
    assert.equal(await isDetached(), false);
    await world.pass(4999);
    assert.equal(await isDetached(), false);
    await world.pass(1);
    assert.equal(await isDetached(), true);
  });

  it("whatever becomes of its quiet sessions, which are not told of", async () => {
    const stream = await world.subscribe("ann");
    const quiet = await world.subscribe("ann", { quiet: true });
    await stream.gone("lost");
    assert.equal(await isDetached(), true, "a quiet session is attached");
    await quiet.gone("lost");
    const back = await world.subscribe("ann", { sessionId: stream.sessionId });
    assert.equal(await isDetached(), false);
    await back.gone("lost");
    assert.equal(await isDetached(), true);
  });

  it("during a debounce of its leave, when it has no session", async () => {
    begin({ rules: { leaveDebounceMs: 1000 } });
    const ann = await world.subscribe("ann");
    await ann.gone("cancelled");
    assert.equal(await isDetached(), true);
    await world.subscribe("ann");
    assert.equal(await isDetached(), false);
  });

  it("is not said in streams, nor in answers to writes, and changes no position", async () => {
    const stream = await world.subscribe("ann", { initialStates: { mood: "fine" } });
    const listener = await world.listen();
    await stream.gone("lost");
    const { position } = world.memory.snapshot({ type: 1, name: ROOM.name });
    assert.equal(position.revision, 2);
    assert.deepEqual(listener.told(), []);
    const written = await world.set("ann", { mood: "off" });
    assert.equal("detached" in written.state, false);
    const late = await world.subscribe("late", { quiet: true });
    const events = [...listener.sink.responses, ...late.sink.responses].flatMap((response) => response.events);
    const states = events.flatMap(({ event }) => {
      if (event.case === "snapshot") return event.value.users;
      return event.case === "remoteStateChanged" ? [event.value.state!] : [];
    });
    assert.deepEqual(
      states.map(({ userId, detached }) => [userId, detached]),
      [
        ["ann", false],
        ["ann", false],
      ],
    );
  });
});
