import assert from "node:assert/strict";
import { refusal, room, World } from "./world.js";

const seconds = (s: number) => ({ seconds: BigInt(s) });

describe("service: presence", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  it("S1 announces the first session of a user, and no other", async () => {
    const listener = await world.listen();
    await world.subscribe("ann");
    await world.subscribe("ann");
    await world.joinLease("ann");
    assert.deepEqual(listener.told(), ["join ann 1"]);
  });

  it("S2 announces a leave when the last stream is cancelled", async () => {
    const listener = await world.listen();
    const first = await world.subscribe("ann", { initialStates: { mood: "fine" } });
    const second = await world.subscribe("ann");
    listener.told();
    await first.gone("cancelled");
    assert.deepEqual(listener.told(), []);
    await second.gone("cancelled");
    assert.deepEqual(listener.told(), ["leave ann 3"]);
    await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("ann"));
  });

  it("S2 LeaveChannel ends one session, or all, and their streams with OK", async () => {
    const listener = await world.listen();
    const first = await world.subscribe("ann");
    const second = await world.subscribe("ann");
    const third = await world.subscribe("ann");
    await world.leave("ann", { sessionId: first.sessionId });
    assert.deepEqual(first.sink.ended, { error: undefined, aborted: false });
    assert.equal(second.sink.ended, undefined);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    await world.leave("ann");
    for (const { sink } of [second, third]) assert.deepEqual(sink.ended, { error: undefined, aborted: false });
    assert.deepEqual(listener.told(), ["leave ann 2"]);
    assert.equal(world.service.openStreams, 1);
    for (const client of [first, second, third]) await client.gone("cancelled");
    await refusal("SESSION_NOT_FOUND", () => world.leave("ann"));
    await refusal("SESSION_NOT_FOUND", () => world.leave("ann", { sessionId: first.sessionId }));
  });

  it("S2 LeaveChannel ends a session whose stream was lost", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    await ann.gone("lost");
    listener.told();
    await world.leave("ann", { sessionId: ann.sessionId });
    assert.deepEqual(listener.told(), ["leave ann 2"]);
  });

  it("S2 does not end another user's session, nor one of another channel", async () => {
    const ann = await world.subscribe("ann");
    await world.subscribe("bob");
    await refusal("SESSION_NOT_FOUND", () => world.leave("bob", { sessionId: ann.sessionId }));
    await refusal("SESSION_NOT_FOUND", () => world.leave("ann", { channel: room("other"), sessionId: ann.sessionId }));
    assert.equal(ann.sink.ended, undefined);
  });

  it("S2 takes a cancel for a drop where the request, or the setting, says so", async () => {
    const behindProxy = new World({ settings: { leaveOnCancel: false } });
    for (const [where, leaveOnCancel] of [
      [world, false],
      [behindProxy, undefined],
    ] as const) {
      const listener = await where.listen();
      const ann = await where.subscribe("ann", { leaveOnCancel });
      listener.told();
      await ann.gone("cancelled");
      await where.pass(29_999);
      assert.deepEqual(listener.told(), []);
      await where.pass(1);
      assert.deepEqual(listener.told(), ["timeout ann 2"]);
    }
    const listener = await behindProxy.listen();
    const bob = await behindProxy.subscribe("bob", { leaveOnCancel: true });
    listener.told();
    await bob.gone("cancelled");
    assert.deepEqual(listener.told(), ["leave bob 4"]);
  });

  it("S3 keeps a lost user present with its state, and then announces the timeout", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann", { initialStates: { mood: "fine" }, presenceTimeout: seconds(5) });
    listener.told();
    await ann.gone("lost");
    await world.pass(4999);
    assert.deepEqual(await world.get("ann"), { mood: "fine" });
    assert.deepEqual(await world.online(), ["ann"]);
    assert.deepEqual(listener.told(), []);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 3"]);
    assert.deepEqual(await world.online(), []);
  });

  it("S3 S5 announces the timeout at once where the timeout is 0", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann", { presenceTimeout: seconds(0) });
    await ann.gone("lost");
    assert.deepEqual(listener.told(), ["join ann 1", "timeout ann 2"]);
  });

  it("S4 S16 says nothing to the others of a return within the grace, with the session's id or without", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann", { initialStates: { mood: "fine" } });
    listener.told();
    await ann.gone("lost");
    await world.pass(29_999);
    const back = await world.subscribe("ann", { sessionId: ann.sessionId });
    assert.equal(back.sessionId, ann.sessionId);
    await back.gone("lost");
    await world.pass(29_999);
    const anew = await world.subscribe("ann");
    assert.notEqual(anew.sessionId, ann.sessionId);
    await world.pass(300_000);
    assert.deepEqual(listener.told(), []);
    assert.deepEqual(anew.told(), ["SUBSCRIBED 2", "SNAPSHOT 2 ann mood=fine"]);
  });

  it("S4 tells who returns whether its session was taken up", async () => {
    const resumedOf = async (sessionId: string) => {
      const { sink } = await world.subscribe("ann", { sessionId });
      const { event } = sink.take()[0]!;
      return event.case === "subscribed" && event.value.resumed;
    };
    const ann = await world.subscribe("ann");
    await ann.gone("lost");
    assert.equal(await resumedOf(ann.sessionId), true);
    assert.equal(await resumedOf("unknown"), false);
    await world.leave("ann");
    assert.equal(await resumedOf(ann.sessionId), false);
  });

  it("S4 leaves a session alone that has been taken up, when its old stream's end is noticed at last", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    const back = await world.subscribe("ann", { sessionId: ann.sessionId });
    assert.equal(ann.sink.ended?.error?.reason, "SAME_USER_REPLACED");
    assert.equal(world.service.openStreams, 2);
    await ann.gone("cancelled");
    await ann.gone("lost");
    await world.pass(300_000);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    assert.equal(back.sink.ended, undefined);
    await back.gone("cancelled");
    assert.deepEqual(listener.told(), ["leave ann 2"]);
  });

  it("S4 refuses another user's session, and does nothing to either", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    listener.told();
    await refusal("NOT_ALLOWED", () => world.subscribe("bob", { sessionId: ann.sessionId }));
    await refusal("NOT_ALLOWED", () => world.subscribe("bob", { sessionId: ann.sessionId, channel: room("other") }));
    assert.equal(ann.sink.ended, undefined);
    assert.deepEqual(listener.told(), []);
    assert.equal(world.service.openStreams, 2);
  });

  it("S5 says the timeout that is in force", async () => {
    const timeoutOf = async (init = {}) => {
      const { sink } = await world.subscribe("ann", init);
      const { event } = sink.take()[0]!;
      return event.case === "subscribed" && event.value.presenceTimeout?.seconds;
    };
    assert.equal(await timeoutOf(), 30n);
    assert.equal(await timeoutOf({ presenceTimeout: seconds(300) }), 300n);
    assert.equal(await timeoutOf({ presenceTimeout: seconds(0) }), 0n);
  });

  it("S6 tells nothing but SUBSCRIBED to a session without presence, which is present all the same", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann", { withPresence: false });
    await world.subscribe("bob");
    assert.deepEqual(ann.told(), ["SUBSCRIBED 1"]);
    assert.deepEqual(listener.told(), ["join ann 1", "join bob 2"]);
    await world.leave("ann");
    assert.deepEqual(ann.sink.ended, { error: undefined, aborted: false });
  });

  it("S6 tells nobody its own user's events, unless it asked for them", async () => {
    const ann = await world.subscribe("ann");
    const curious = await world.subscribe("ann", { includeSelf: true });
    ann.told();
    curious.told();
    await world.set("ann", { mood: "fine" });
    await world.subscribe("bob");
    assert.deepEqual(ann.told(), ["join bob 3"]);
    assert.deepEqual(curious.told(), ["state ann 2 mood=fine", "join bob 3"]);
  });

  it("S2 writes nothing to a stream that its client has ended, and keeps its user present until that is decided", async () => {
    const ann = await world.listen("ann", { quiet: false });
    ann.subscription.stop();
    await world.subscribe("bob");
    assert.deepEqual(ann.told(), []);
    assert.equal(world.service.openStreams, 1);
    assert.deepEqual(await world.online(), ["ann", "bob"]);
    await ann.gone("cancelled");
    assert.deepEqual(await world.online(), ["bob"]);
  });

  it("S2 does nothing about a stream that its client has ended when the session is taken up before that is decided", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    ann.subscription.stop();
    const again = await world.subscribe("ann", { sessionId: ann.sessionId });
    assert.equal(again.sessionId, ann.sessionId);
    await ann.gone("cancelled");
    assert.deepEqual(listener.told(), ["join ann 1"]);
    assert.deepEqual(await world.online(), ["ann"]);
  });

  it("S2 counts the timeout of a disconnect from its beginning", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann", { presenceTimeout: seconds(1) });
    const since = world.clock.now().tick;
    ann.subscription.stop();
    await world.pass(50);
    await ann.subscription.closed("lost", since);
    await world.pass(949);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    await world.pass(1);
    assert.deepEqual(listener.told(), ["timeout ann 2"]);
  });

  it("S7 hides a quiet session from everybody, and from the counts", async () => {
    const listener = await world.listen();
    const spy = await world.subscribe("spy", { quiet: true });
    await world.subscribe("ann");
    assert.deepEqual(spy.told(), ["SUBSCRIBED 0", "SNAPSHOT 0", "join ann 1"]);
    await spy.gone("lost");
    await world.pass(30_000);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    assert.deepEqual(await world.online(), ["ann"]);
    await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("spy"));
  });

  it("S8 lets sessions share the presence of their user", async () => {
    const first = await world.subscribe("ann");
    await world.subscribe("ann");
    assert.equal(first.sink.ended, undefined);
    assert.equal(world.memory.stats().present, 1);
  });

  it("S8 ends the older session where a user may have one, and says nothing to the others", async () => {
    world = new World({ rules: { sameUser: "single" } });
    const listener = await world.listen();
    const first = await world.subscribe("ann");
    const second = await world.subscribe("ann");
    assert.equal(first.sink.ended?.error?.reason, "SAME_USER_REPLACED");
    assert.deepEqual(first.sink.ended.error.metadata, { session_id: first.sessionId });
    await world.joinLease("ann");
    assert.equal(second.sink.ended?.error?.reason, "SAME_USER_REPLACED");
    for (const { gone } of [first, second]) await gone("cancelled");
    await world.pass(29_999);
    assert.deepEqual(listener.told(), ["join ann 1"]);
    assert.equal(world.service.openStreams, 1);
  });

  it("S2 S8 ends a stream whose session is ended while it is being let in", async () => {
    world = new World({ rules: { sameUser: "single" } });
    const opening = [world.open("ann"), world.open("ann")];
    const subscriptions = await Promise.all(opening);
    await world.settle();
    assert.equal(world.service.openStreams, 1);
    assert.deepEqual(world.hub.stats().readers, { live: 1, lagging: 0, resyncing: 0 });
    for (const subscription of subscriptions) await subscription.closed("cancelled");

    const arriving = world.open("bob");
    const leaving = world.joinLease("bob").then(() => world.leave("bob"));
    await Promise.all([arriving, leaving]);
    await world.settle();
    assert.equal(world.service.openStreams, 0);
    assert.deepEqual(world.memory.stats().sessions, 0);
  });
});
