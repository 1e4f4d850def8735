import assert from "node:assert/strict";
import { refusal, World } from "./world.js";

const seconds = (s: number) => ({ seconds: BigInt(s) });

describe("service: leases (S17)", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  it("S17 makes a user present for as long as it is renewed", async () => {
    const listener = await world.listen();
    const { sessionId, state, position } = await world.joinLease("ann", { initialStates: { mood: "fine" } });
    assert.deepEqual({ ...state!.states }, { mood: "fine" });
    assert.equal(position!.revision, 2);
    for (let i = 0; i < 5; i++) {
      await world.pass(29_999);
      assert.deepEqual(await world.heartbeat("ann", [sessionId]), []);
    }
    assert.deepEqual(listener.told(), ["join ann 1", "state ann 2 mood=fine"]);
    await world.pass(29_999);
    assert.deepEqual(listener.told(), []);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 3"]);
    assert.deepEqual(await world.heartbeat("ann", [sessionId]), [sessionId]);
  });

  it("S17 lives as long as the request says, and is renewed for that or for what the heartbeat says", async () => {
    const listener = await world.listen();
    const { sessionId } = await world.joinLease("ann", { ttl: seconds(5) });
    listener.told();
    await world.pass(4999);
    await world.heartbeat("ann", [sessionId]);
    await world.pass(4999);
    await world.heartbeat("ann", [sessionId], { ttl: seconds(60) });
    await world.pass(59_999);
    assert.deepEqual(listener.told(), []);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 2"]);
  });

  it("S2 S17 ends by LeaveChannel", async () => {
    const listener = await world.listen();
    const { sessionId } = await world.joinLease("ann");
    await world.leave("ann", { sessionId });
    assert.deepEqual(listener.told(), ["join ann 1", "leave ann 2"]);
    await world.pass(30_000);
    assert.deepEqual(listener.told(), []);
    assert.equal(world.clock.pending, 0, "something is still waited for");
  });

  it("S17 names the sessions that it could not renew: unknown, over, or no leases", async () => {
    const stream = await world.subscribe("ann");
    const over = await world.joinLease("ann", { ttl: seconds(1) });
    await world.pass(1000);
    const alive = await world.joinLease("ann");
    const sessions = [stream.sessionId, alive.sessionId, over.sessionId, "unknown"];
    assert.deepEqual(await world.heartbeat("ann", sessions), [stream.sessionId, over.sessionId, "unknown"]);
  });

  it("S17 S20 renews nothing when one of the sessions is another user's, and the caller has a name", async () => {
    const ann = await world.joinLease("ann", { ttl: seconds(10) });
    const bob = await world.joinLease("bob", { ttl: seconds(10) });
    await world.pass(9000);
    const { metadata } = await refusal("NOT_ALLOWED", () => world.heartbeat("ann", [ann.sessionId, bob.sessionId]));
    assert.deepEqual(metadata, { user_id: "bob" });
    await world.pass(1000);
    assert.deepEqual(await world.online(), []);
  });

  it("S17 S20 renews sessions of any users for a back end that has no name of its own", async () => {
    const ann = await world.joinLease("ann");
    const bob = await world.joinLease("bob");
    await world.pass(29_999);
    assert.deepEqual(await world.heartbeat(undefined, [ann.sessionId, bob.sessionId]), []);
    await world.pass(29_999);
    assert.deepEqual(await world.online(), ["ann", "bob"]);
  });

  it("S17 shows every command a lease as of its last renewal, however often it was renewed", async () => {
    const listener = await world.listen();
    const { sessionId } = await world.joinLease("ann");
    for (let i = 0; i < 4; i++) {
      await world.pass(10_000);
      assert.deepEqual(await world.heartbeat("ann", [sessionId]), []);
    }
    await world.pass(20_000);
    await world.set("ann", { mood: "fine" });
    await world.pass(9_999);
    assert.deepEqual(listener.told(), ["join ann 1", "state ann 2 mood=fine"]);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 3"]);
    assert.deepEqual(await world.heartbeat("ann", [sessionId]), [sessionId]);
    assert.equal(world.clock.pending, 0, "something is still waited for");
  });

  it("S17 lets a renewal shorten the life of a lease that was renewed before", async () => {
    const listener = await world.listen();
    const { sessionId } = await world.joinLease("ann", { ttl: seconds(60) });
    listener.told();
    await world.heartbeat("ann", [sessionId]);
    await world.heartbeat("ann", [sessionId], { ttl: seconds(5) });
    await world.pass(4999);
    assert.deepEqual(listener.told(), []);
    await world.heartbeat("ann", [sessionId]);
    await world.pass(4999);
    assert.deepEqual(listener.told(), []);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 2"]);
  });

  it("S2 S8 S17 renews no lease that was left or replaced after a renewal", async () => {
    world = new World({ rules: { sameUser: "single" } });
    const left = await world.joinLease("ann");
    const replaced = await world.joinLease("bob");
    const sessions = [left.sessionId, replaced.sessionId];
    for (let i = 0; i < 2; i++) assert.deepEqual(await world.heartbeat(undefined, sessions), []);
    await world.leave("ann", { sessionId: left.sessionId });
    await world.joinLease("bob");
    assert.deepEqual(await world.heartbeat(undefined, sessions), sessions);
    await world.pass(30_000);
    assert.deepEqual(await world.online(), []);
  });

  it("S4 S17 replaces lost streams, and is not replaced by a stream", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    await ann.gone("lost");
    const { sessionId } = await world.joinLease("ann");
    const back = await world.subscribe("ann", { sessionId: ann.sessionId });
    assert.notEqual(back.sessionId, ann.sessionId);
    assert.deepEqual(await world.heartbeat("ann", [sessionId]), []);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    assert.equal(world.memory.stats().sessions, 3);
  });
});
