import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { deferred } from "../../../src/client/deferred.js";
import type { PresenceClient, PresenceEvent, Subscription } from "../../../src/client/index.js";
import { createPresenceClient, PresenceError } from "../../../src/client/index.js";
import { at, changed, event, FakeService, join, leave, refusal, snapshot, subscribed, user } from "./fake_service.js";

/** The next `count` kinds of a subscription's iteration. */
async function take(iterator: AsyncIterator<PresenceEvent>, count: number): Promise<string[]> {
  const kinds: string[] = [];
  for (let taken = 0; taken < count; taken++) {
    const { value, done } = await iterator.next();
    kinds.push(done ? "done" : value.kind);
  }
  return kinds;
}

/** Resolves when the subscription's members satisfy a condition, looked at after each event without taking any. */
async function until(subscription: Subscription, condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setImmediate(resolve));
    if (subscription.position === undefined) await subscription.ready;
  }
}

describe("Subscription", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    service.handlers.listOnlineUsers = () => ({ totalSize: 0 });
    presence = createPresenceClient({ address: service.address, userId: "tony" });
  });

  afterEach(async () => {
    // First, so that no stream that a test left without an answer is waited for.
    service.stop();
    await presence.close();
  });

  const room = () => presence.channel("chat_room");

  it("asks for what its options say", async () => {
    room().subscribe({
      withPresence: false,
      quiet: true,
      includeSelf: true,
      initialStates: { a: "1" },
      presenceTimeoutMs: 1500,
      leaveOnCancel: false,
      sessionId: "s",
      resumeFrom: { position: at(4), members: new Map() },
    });
    const { request } = await service.nextStream();
    const { userId, withPresence, quiet, includeSelf, initialStates, leaveOnCancel, sessionId } = request;
    assert.deepEqual(
      { userId, withPresence, quiet, includeSelf, leaveOnCancel, sessionId },
      { userId: "tony", withPresence: false, quiet: true, includeSelf: true, leaveOnCancel: false, sessionId: "s" },
    );
    assert.deepEqual(initialStates, { a: "1" });
    assert.deepEqual([request.presenceTimeout?.seconds, request.presenceTimeout?.nanos], [1n, 500_000_000]);
    assert.deepEqual([request.resumeFrom?.epoch, request.resumeFrom?.revision], ["e1", 4n]);
  });

  it("leaves to the server what its options do not say", async () => {
    room().subscribe();
    const { request } = await service.nextStream();
    assert.deepEqual(
      [request.withPresence, request.leaveOnCancel, request.presenceTimeout, request.resumeFrom, request.sessionId],
      [undefined, undefined, undefined, undefined, ""],
    );
  });

  it("iterates over typed events, with members as of the event in hand", async () => {
    const subscription = room().subscribe();
    const iterator = subscription[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("tony")], false), snapshot(2, [user("anna", { a: "1" }, 1)]));
    stream.send(join(3, "bob"), changed(4, "bob", { b: "2" }), leave(5, "anna"));

    const begun = (await first).value;
    assert.ok(begun?.kind === "subscribed");
    assert.deepEqual([begun.sessionId, begun.presenceTimeoutMs], ["session-1", 30_000]);
    assert.equal(subscription.sessionId, "session-1");
    assert.equal(subscription.position, undefined);

    const whole = (await iterator.next()).value;
    assert.ok(whole?.kind === "snapshot");
    assert.deepEqual([...whole.members.keys()], ["tony", "anna"]);
    await subscription.ready;

    assert.deepEqual(await take(iterator, 1), ["join"]);
    assert.deepEqual([...subscription.members.keys()], ["tony", "anna", "bob"]);
    assert.deepEqual({ ...subscription.members.get("bob")?.states }, {});
    assert.deepEqual(await take(iterator, 1), ["state_changed"]);
    assert.deepEqual({ ...subscription.members.get("bob")?.states }, { b: "2" });
    assert.ok(subscription.members.has("anna"));
    assert.deepEqual(await take(iterator, 1), ["leave"]);
    assert.deepEqual([...subscription.members.keys()], ["tony", "bob"]);
    assert.deepEqual(subscription.position, at(5));
    assert.deepEqual([...whole.members.keys()], ["tony", "anna"], "a snapshot event is a copy");
  });

  it("keeps members while nobody iterates, and begins a late iteration with a snapshot of them", async () => {
    const subscription = room().subscribe();
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("tony")]));
    await subscription.ready;
    assert.deepEqual([...subscription.members.keys()], ["tony"]);
    stream.send(join(3, "anna"));
    await until(subscription, () => subscription.members.has("anna"));

    const iterator = subscription[Symbol.asyncIterator]();
    assert.deepEqual(await take(iterator, 1), ["subscribed"]);
    const { value } = await iterator.next();
    assert.ok(value?.kind === "snapshot");
    assert.deepEqual([[...value.members.keys()], value.position, value.occupancy], [["tony", "anna"], at(3), 2]);
    stream.send(leave(4, "anna"));
    assert.deepEqual(await take(iterator, 1), ["leave"]);
    assert.deepEqual([...value.members.keys()], ["tony", "anna"], "a snapshot event is a copy");
  });

  it("reads no further than it is iterated, and holds up nothing else", async () => {
    const subscription = room().subscribe();
    const iterator = subscription[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, []));
    await first;
    const filler = "x".repeat(4000);
    const last = 500;
    for (let revision = 3; revision <= last; revision++) stream.send(changed(revision, "anna", { filler }));
    let drained = false;
    const drain = stream.drained().then(() => {
      drained = true;
    });
    // Answers overtake what the client does not read, and give one that read on
    // by itself the time to do it.
    for (let call = 0; call < 20; call++) await room().count();
    assert.equal(drained, false);

    let event: PresenceEvent | undefined;
    while (event?.position.revision !== BigInt(last)) event = (await iterator.next()).value;
    await drain;
  });

  it("is ready at subscribed when it hears no presence (S6)", async () => {
    const subscription = room().subscribe({ withPresence: false });
    const stream = await service.nextStream();
    stream.send(subscribed(7));
    await subscription.ready;
    assert.deepEqual([subscription.members.size, subscription.position], [0, at(7)]);
  });

  it("goes on from an earlier subscription's members when it resumes", async () => {
    const earlier = room().subscribe({ reconnect: false });
    const lost = await service.nextStream();
    lost.send(subscribed(), snapshot(2, [user("tony"), user("anna")]));
    await earlier.ready;
    lost.fail({ code: grpc.status.UNAVAILABLE });
    await assert.rejects(earlier.closed, { code: "UNAVAILABLE" });

    const resumed = room().subscribe({ sessionId: earlier.sessionId, resumeFrom: earlier });
    const stream = await service.nextStream();
    assert.equal(stream.request.resumeFrom?.revision, 2n);
    stream.send(subscribed(4));
    await resumed.ready;
    assert.deepEqual([[...resumed.members.keys()], resumed.position], [["tony", "anna"], at(2)]);
    stream.send(leave(3, "anna"), join(4, "bob"));
    await until(resumed, () => resumed.members.has("bob"));
    assert.deepEqual([...resumed.members.keys()], ["tony", "bob"]);
  });

  describe("one's own state", () => {
    const states = (subscription: Subscription) => ({ ...subscription.members.get("tony")?.states });

    async function subscribe(options = {}) {
      const subscription = room().subscribe(options);
      return { subscription, stream: await service.nextStream() };
    }

    it("is in members when setState and removeState return", async () => {
      service.handlers.setState = ({ states }) => ({ state: user("tony", states, 3), position: at(3) });
      service.handlers.removeState = () => ({ state: user("tony", {}, 4), position: at(4) });
      const { subscription, stream } = await subscribe();
      stream.send(subscribed(), snapshot(2, [user("tony")]));
      await subscription.ready;
      await room().setState({ Mode: "Happy" });
      assert.deepEqual(states(subscription), { Mode: "Happy" });
      await room().removeState();
      assert.deepEqual([states(subscription), subscription.members.get("tony")?.revision], [{}, 4n]);
    });

    it("is not overwritten by an older answer", async () => {
      const slow = deferred<void>();
      service.handlers.setState = async ({ states }) => {
        if (states.n === "old") await slow.promise;
        const revision = states.n === "old" ? 3 : 4;
        return { state: user("tony", states, revision), position: at(revision) };
      };
      const { subscription, stream } = await subscribe();
      stream.send(subscribed(), snapshot(2, [user("tony")]));
      await subscription.ready;
      const old = room().setState({ n: "old" });
      await room().setState({ n: "new" });
      slow.resolve();
      await old;
      assert.deepEqual(states(subscription), { n: "new" });
    });

    it("is laid over a snapshot that was taken before it, and not over a later one", async () => {
      const slow = deferred<void>();
      service.handlers.setState = async ({ states }) => {
        if (states.n === "first") await slow.promise;
        const revision = states.n === "first" ? 3 : 4;
        return { state: user("tony", states, revision), position: at(revision) };
      };
      const { subscription, stream } = await subscribe();
      const first = room().setState({ n: "first" });
      await room().setState({ n: "second" });
      slow.resolve();
      await first;
      stream.send(subscribed(), snapshot(2, [user("tony", { n: "before" }, 1)]));
      await subscription.ready;
      assert.deepEqual(states(subscription), { n: "second" });
      stream.send(snapshot(9, [user("tony", { n: "after" }, 8)]));
      await until(subscription, () => subscription.position?.revision === 9n);
      assert.deepEqual(states(subscription), { n: "after" });
    });

    it("is not brought back by an answer that the stream has overtaken", async () => {
      const slow = deferred<void>();
      service.handlers.setState = async ({ states }) => {
        await slow.promise;
        return { state: user("tony", states, 3), position: at(3) };
      };
      const { subscription, stream } = await subscribe({ includeSelf: true, quiet: true });
      stream.send(subscribed(), snapshot(2, [user("tony")]));
      const answer = room().setState({ n: "late" });
      stream.send(changed(3, "tony", { n: "late" }), leave(4, "tony"));
      await until(subscription, () => subscription.position?.revision === 4n);
      slow.resolve();
      await answer;
      assert.equal(subscription.members.has("tony"), false);
    });

    it("stays out of members while it is pending (S12), of another epoch, or of another channel", async () => {
      let answer = { pending: true, position: at(3) };
      service.handlers.setState = ({ states }) => ({ state: user("tony", states, 3), ...answer });
      const { subscription, stream } = await subscribe();
      stream.send(subscribed(), snapshot(2, [user("tony")]));
      await subscription.ready;
      await room().setState({ n: "pending" });
      assert.deepEqual(states(subscription), {});
      answer = { pending: false, position: at(3, "e2") };
      await room().setState({ n: "another epoch" });
      assert.deepEqual(states(subscription), {});
      answer = { pending: false, position: at(3) };
      await presence.channel("chat_room", { type: "stream" }).setState({ n: "another type" });
      await presence.channel("kitchen").setState({ n: "another name" });
      assert.deepEqual(states(subscription), {});
      await room().setState({ n: "here" });
      assert.deepEqual(states(subscription), { n: "here" });
    });
  });

  describe("ending", () => {
    it("close() ends the iteration at once, sends LeaveChannel, and then cancels the stream", async () => {
      const order: string[] = [];
      service.handlers.leaveChannel = ({ sessionId }) => {
        order.push(`leave ${sessionId}`);
        return {};
      };
      const subscription = room().subscribe();
      const stream = await service.nextStream();
      const cancelled = stream.cancelled.then(() => order.push("cancelled"));
      const iterator = subscription[Symbol.asyncIterator]();
      stream.send(subscribed());
      await iterator.next();
      const pending = [iterator.next(), iterator.next()];
      await subscription.close();
      await cancelled;
      assert.deepEqual(await Promise.all(pending), Array(2).fill({ done: true, value: undefined }));
      assert.deepEqual(await iterator.next(), { done: true, value: undefined });
      assert.deepEqual(order, ["leave session-1", "cancelled"]);
      await subscription.closed;
      await subscription.close();
      await assert.rejects(subscription.ready, { name: "PresenceError", code: "CANCELLED" });
    });

    it("close() before subscribed waits for it, and then ends that session", async () => {
      const left: string[] = [];
      service.handlers.leaveChannel = ({ sessionId }) => {
        left.push(sessionId);
        return {};
      };
      const subscription = room().subscribe();
      const closing = subscription.close();
      await subscription.closed;
      const stream = await service.nextStream();
      assert.deepEqual(left, []);
      stream.send(subscribed(1, { sessionId: "late" }));
      await closing;
      assert.deepEqual(left, ["late"]);
      await stream.cancelled;
    });

    it("close() before subscribed is over when the stream fails, and opens no other", async () => {
      const subscription = room().subscribe({ reconnect: { minDelayMs: 1, maxDelayMs: 1 } });
      const closing = subscription.close();
      const stream = await service.nextStream();
      stream.fail(refusal(grpc.status.UNAVAILABLE, "away"));
      await closing;
      const other = room().subscribe({ sessionId: "other" });
      assert.equal((await service.nextStream()).request.sessionId, "other");
      void other.close();
    });

    it("close() sends LeaveChannel where a cancel does not count", async () => {
      const left: string[] = [];
      service.handlers.leaveChannel = ({ sessionId }) => {
        left.push(sessionId);
        return {};
      };
      const subscription = room().subscribe({ leaveOnCancel: false });
      (await service.nextStream()).send(subscribed(), snapshot(1, []));
      await subscription.ready;
      await presence.close();
      assert.deepEqual(left, ["session-1"]);
    });

    it("leaving the loop closes", async () => {
      const subscription = room().subscribe();
      const stream = await service.nextStream();
      stream.send(subscribed());
      for await (const { kind } of subscription) if (kind === "subscribed") break;
      await stream.cancelled;
      await subscription.closed;
    });

    it("close() ends an iteration that is not asking for the next event", async () => {
      const subscription = room().subscribe();
      const stream = await service.nextStream();
      stream.send(subscribed(), snapshot(2, []), join(3, "anna"));
      const iterator = subscription[Symbol.asyncIterator]();
      await iterator.next();
      await subscription.close();
      await stream.cancelled;
      assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    });

    it("an aborted signal cancels, and is what iteration, ready and closed fail with", async () => {
      const controller = new AbortController();
      const why = new Error("enough");
      const subscription = room().subscribe({ signal: controller.signal });
      const stream = await service.nextStream();
      const next = subscription[Symbol.asyncIterator]().next();
      controller.abort(why);
      const isWhy = (error: unknown) => error === why;
      await assert.rejects(next, isWhy);
      await assert.rejects(subscription.ready, isWhy);
      await assert.rejects(subscription.closed, isWhy);
      stream.send(subscribed());
      await stream.cancelled;
    });

    it("a signal that is aborted already opens no stream", async () => {
      const subscription = room().subscribe({ signal: AbortSignal.abort() });
      await assert.rejects(subscription.closed, { name: "AbortError" });
      const other = room().subscribe({ sessionId: "other" });
      const stream = await service.nextStream();
      assert.equal(stream.request.sessionId, "other");
      stream.send(subscribed());
      await other.close();
    });

    it("a refusal is told, once, with its reason", async () => {
      const subscription = room().subscribe({ reconnect: false });
      const stream = await service.nextStream();
      const iterator = subscription[Symbol.asyncIterator]();
      stream.send(subscribed());
      assert.deepEqual(await take(iterator, 1), ["subscribed"]);
      stream.fail(refusal(grpc.status.ABORTED, "somewhere else"));
      await assert.rejects(iterator.next(), (error) => {
        assert.ok(error instanceof PresenceError);
        return error.code === "ABORTED" && error.message === "somewhere else";
      });
      assert.deepEqual(await iterator.next(), { done: true, value: undefined });
      await assert.rejects(subscription.ready, PresenceError);
    });

    it("a stream that the server ends is closed without an error", async () => {
      const subscription = room().subscribe();
      const stream = await service.nextStream();
      stream.send(subscribed(), snapshot(2, [user("tony")]));
      stream.end();
      const kinds: string[] = [];
      for await (const { kind } of subscription) kinds.push(kind);
      assert.deepEqual(kinds, ["subscribed", "snapshot"]);
      await subscription.closed;
    });

    it("nobody needs to look at a failure", async () => {
      const unhandled: unknown[] = [];
      const listen = (error: unknown) => unhandled.push(error);
      process.on("unhandledRejection", listen);
      const subscription = room().subscribe({ reconnect: false });
      (await service.nextStream()).fail({ code: grpc.status.INTERNAL });
      await subscription.close();
      await new Promise((resolve) => setImmediate(resolve));
      process.off("unhandledRejection", listen);
      assert.deepEqual(unhandled, []);
    });
  });

  it("an event of a kind that it does not know moves the position and nothing else", async () => {
    const subscription = room().subscribe();
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("tony")]), event(3, {}));
    await until(subscription, () => subscription.position?.revision === 3n);
    assert.deepEqual([...subscription.members.keys()], ["tony"]);
  });
});
