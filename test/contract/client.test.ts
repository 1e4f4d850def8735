import assert from "node:assert/strict";
import type { PresenceChannel, PresenceClient, PresenceEvent, Subscription } from "../../src/client/index.js";
import { createPresenceClient, PresenceError } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";

/** Iterates until an event fits, and returns all that came, that one included. */
async function until(
  iterator: AsyncIterator<PresenceEvent, undefined>,
  fits: (event: PresenceEvent) => boolean,
): Promise<PresenceEvent[]> {
  const events: PresenceEvent[] = [];
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) assert.fail(`the stream ended after ${events.map(({ kind }) => kind)}`);
    events.push(value);
    if (fits(value)) return events;
  }
}

const ofKind = (kind: PresenceEvent["kind"]) => (event: PresenceEvent) => event.kind === kind;

function statesOf(subscription: Subscription): Record<string, unknown> {
  return Object.fromEntries([...subscription.members].sort().map(([userId, { states }]) => [userId, { ...states }]));
}

async function refusedWith(call: Promise<unknown>): Promise<PresenceError> {
  const error = await call.then(
    () => assert.fail("the call should have been refused"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PresenceError, `${error}`);
  return error;
}

describe("the client, against a server", () => {
  let server: RollcallServer;
  const clients: PresenceClient[] = [];

  before(async () => {
    server = await startTestServer();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  after(() => server.close());

  function clientOf(userId: string): PresenceClient {
    const client = createPresenceClient({ address: server.address, userId });
    clients.push(client);
    return client;
  }

  function roomOf(userId: string, name: string): PresenceChannel {
    return clientOf(userId).channel(name);
  }

  it("tells the seed's story: a state set before the join, changed, removed, and gone (S2, S9–S13)", async () => {
    const anna = roomOf("anna", "story").subscribe();
    const heard = anna[Symbol.asyncIterator]();
    await until(heard, ofKind("snapshot"));

    const tonysRoom = roomOf("tony", "story");
    const before = await tonysRoom.setState({ Mode: "Happy", Mic: "False" });
    assert.deepEqual([before.pending, { ...before.state.states }], [true, { Mode: "Happy", Mic: "False" }]);
    assert.equal((await refusedWith(roomOf("anna", "story").getState("tony"))).reason, "PRESENCE_USER_NOT_EXIST");

    const tony = tonysRoom.subscribe();
    await tony.ready;
    const joining = await until(heard, ofKind("state_changed"));
    assert.deepEqual(
      joining.map(({ kind }) => kind),
      ["join", "state_changed"],
    );
    assert.deepEqual(statesOf(anna), { anna: {}, tony: { Mode: "Happy", Mic: "False" } });
    assert.deepEqual(statesOf(tony), statesOf(anna));

    await tonysRoom.setState({ Mic: "True", Score: "1" });
    const [change] = await until(heard, ofKind("state_changed"));
    assert.ok(change?.kind === "state_changed");
    assert.deepEqual([change.userId, change.changedKeys, change.removedKeys], ["tony", ["Mic", "Score"], []]);
    assert.deepEqual({ ...change.state.states }, { Mode: "Happy", Mic: "True", Score: "1" });

    await tonysRoom.removeState(["Mode", "Mic"]);
    await until(heard, ofKind("state_changed"));
    assert.deepEqual(statesOf(anna), { anna: {}, tony: { Score: "1" } });
    await tonysRoom.removeState();
    await until(heard, ofKind("state_changed"));
    assert.deepEqual(statesOf(anna), { anna: {}, tony: {} });
    assert.deepEqual(statesOf(tony), statesOf(anna));

    await tony.close();
    await until(heard, ofKind("leave"));
    assert.deepEqual([...anna.members.keys()], ["anna"]);
    assert.equal((await refusedWith(tonysRoom.getState())).code, "NOT_FOUND");
  });

  it("has left for everybody once close() returned, even of the whole client (S2)", async () => {
    const presence = clientOf("tony");
    const rooms = ["left-1", "left-2", "left-3"].map((name) => presence.channel(name));
    await Promise.all(rooms.map((room) => room.subscribe().ready));
    const asks = clientOf("anna");
    for (const { name } of rooms) assert.equal(await asks.channel(name).count(), 1);
    await presence.close();
    for (const { name } of rooms) assert.equal(await asks.channel(name).count(), 0);
  });

  it("says why a state is refused, and with what it collided (S14, S21)", async () => {
    const room = roomOf("tony", "refused");
    await room.subscribe().ready;
    const tooMany = Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`k${n}`, "v"]));
    const overflow = await refusedWith(room.setState(tooMany));
    assert.deepEqual([overflow.reason, overflow.code], ["STATE_COUNT_OVERFLOW", "FAILED_PRECONDITION"]);
    assert.equal(overflow.metadata.limit, "32");

    const { state } = await room.setState({ a: "1" });
    const mismatch = await refusedWith(room.setState({ a: "2" }, { expectedRevision: state.revision - 1n }));
    assert.deepEqual([mismatch.reason, mismatch.code], ["STATE_REVISION_MISMATCH", "ABORTED"]);
    assert.deepEqual({ ...mismatch.currentState?.states }, { a: "1" });
    assert.equal(mismatch.currentState?.revision, state.revision);
    await room.setState({ a: "2" }, { expectedRevision: state.revision });

    const invalid = await refusedWith(roomOf("tony", "").getState());
    assert.deepEqual([invalid.reason, invalid.code], ["INVALID_CHANNEL_NAME", "INVALID_ARGUMENT"]);
    assert.deepEqual(
      invalid.violations.map(({ field }) => field),
      ["channel.name"],
    );
  });

  it("lists and counts without joining, page by page (S19)", async () => {
    const ids = Array.from({ length: 7 }, (_, n) => `user-${n}`);
    for (const id of ids) await roomOf(id, "listed").subscribe({ initialStates: { id } }).ready;
    const room = roomOf("guest", "listed");
    const found: [string, string | undefined][] = [];
    for await (const { userId, states } of room.onlineUsers({ includeStates: true, pageSize: 3 })) {
      found.push([userId, states.id]);
    }
    assert.deepEqual(
      found,
      ids.map((id) => [id, id]),
    );
    assert.equal(await room.count(), 7);
  });

  it("finds a user's channels, of both types (S19)", async () => {
    const tony = clientOf("tony");
    await tony.channel("two", { type: "message" }).subscribe({ initialStates: { a: "message" } }).ready;
    await tony.channel("two", { type: "stream" }).subscribe({ initialStates: { a: "stream" } }).ready;
    const found: unknown[] = [];
    for await (const { channel, state } of clientOf("anna").channelsOf("tony")) found.push([channel, state.states.a]);
    assert.deepEqual(found, [
      [{ type: "message", name: "two" }, "message"],
      [{ type: "stream", name: "two" }, "stream"],
    ]);
  });

  it("is present and hears nothing without presence, and hears unseen when quiet (S6, S7)", async () => {
    const quiet = roomOf("monitor", "unseen").subscribe({ quiet: true });
    await quiet.ready;
    const deaf = roomOf("deaf", "unseen").subscribe({ withPresence: false });
    await deaf.ready;
    const heard = quiet[Symbol.asyncIterator]();
    const [event] = (await until(heard, () => quiet.members.has("deaf"))).slice(-1);
    assert.ok(event && event.kind !== "subscribed");
    assert.deepEqual([...quiet.members.keys()], ["deaf"]);
    assert.deepEqual([deaf.members.size, deaf.sessionId === undefined], [0, false]);
    assert.equal(await roomOf("guest", "unseen").count(), 1);
  });

  it("holds the server's state after hundreds of changes by many, read as they come", async () => {
    const writers = await Promise.all(
      Array.from({ length: 5 }, async (_, n) => {
        const room = roomOf(`writer-${n}`, "busy");
        const subscription = room.subscribe();
        await subscription.ready;
        return { room, subscription };
      }),
    );
    const reader = roomOf("reader", "busy").subscribe();
    const heard = reader[Symbol.asyncIterator]();
    await until(heard, ofKind("snapshot"));
    let revision = reader.position!.revision;
    const writing = writers.map(async ({ room }) => {
      for (let n = 0; n < 100; n++) await room.setState({ n: `${n}` });
    });
    const events = await until(
      heard,
      () => [...reader.members.values()].filter(({ states }) => states.n === "99").length === 5,
    );
    await Promise.all(writing);
    assert.equal(events.filter(ofKind("state_changed")).length, 500, "gap-free");
    for (const { position } of events) {
      assert.equal(position.revision, revision + 1n, "ordered, unique, each by one");
      revision = position.revision;
    }
    const truth: [string, string | undefined][] = [];
    for await (const { userId, states } of roomOf("guest", "busy").onlineUsers({ includeStates: true })) {
      truth.push([userId, states.n]);
    }
    assert.deepEqual([...reader.members.values()].map(({ userId, states }) => [userId, states.n]).sort(), truth.sort());
  });

  it("carries ids and keys of every kind", async () => {
    const strange = ["__proto__", "constructor", "托尼", "тони 👋🏽", "a=b c"];
    // The server takes no such key; as an id it is one like any other.
    const keys = strange.filter((key) => key !== "__proto__");
    for (const id of strange) {
      const states = Object.fromEntries(keys.map((key) => [key, id]));
      await roomOf(id, "странный канал").subscribe({ initialStates: states }).ready;
    }
    const reader = roomOf("reader", "странный канал").subscribe({ quiet: true });
    await reader.ready;
    assert.deepEqual([...reader.members.keys()].sort(), [...strange].sort());
    for (const [userId, { states }] of reader.members) {
      const expected = Object.fromEntries(keys.map((key) => [key, userId]));
      assert.deepEqual(Object.entries(states).sort(), Object.entries(expected).sort());
    }
  });

  it("is told, with a time to come back, when the server goes down (S24)", async () => {
    const other = await startTestServer();
    const presence = createPresenceClient({ address: other.address, userId: "tony", reconnect: false });
    const subscription = presence.channel("draining").subscribe();
    await subscription.ready;
    const closing = other.close();
    const error = await refusedWith(subscription.closed);
    assert.deepEqual([error.reason, error.code], ["SERVER_DRAINING", "UNAVAILABLE"]);
    assert.ok(error.retryAfterMs !== undefined && error.retryAfterMs >= 0);
    await closing;
    await presence.close();
  });
});
