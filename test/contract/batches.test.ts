import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import {
  BatchSetStateRequestSchema,
  BatchSetStateResponseSchema,
  SetStateRequestSchema,
} from "../../gen/presence/v1/presence_service_pb.js";
import { type BatchResult, createPresenceClient, type PresenceClient, PresenceError } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { CountingSubscribers, callRaw } from "../support/raw_calls.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = { type: "message", name: "room" } as const;

describe("batches, over real sockets", () => {
  let server: RollcallServer;
  let presence: PresenceClient;
  let connection: ReturnType<typeof connect>;

  before(async () => {
    server = await startTestServer();
    presence = createPresenceClient({ address: server.address });
    connection = connect(server.address);
  });

  after(async () => {
    connection.channel.close();
    await presence.close();
    await server.close();
  });

  const users = (prefix: string, count = 1000) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

  function reasonOf(result: BatchResult<unknown>): string | undefined {
    return result.ok ? "OK" : result.error.reason;
  }

  it("S17 brings 1000 users in; the others hear of them in one message", async () => {
    const reader = new Listener(connection.client, { channel: message("joined"), userId: "reader", quiet: true });
    await reader.opened();
    const channel = { type: "message", name: "joined" } as const;
    const entries = users("u").map((userId) => ({ channel, userId, initialStates: { Mic: "False" } }));
    const results = await presence.joinMany(entries);
    const leases = results.map((result) => (result.ok ? result.value : assert.fail(result.error)));
    assert.deepEqual(
      leases.map(({ state }) => [state.userId, { ...state.states }]),
      users("u").map((userId) => [userId, { Mic: "False" }]),
    );
    const begin = leases[0]!.position.revision - 2n;
    assert.deepEqual(
      leases.map(({ position }) => position.revision - begin),
      users("u").map((_, i) => BigInt(2 * i + 2)),
    );
    assert.deepEqual(await presence.heartbeat(leases.map(({ sessionId }) => sessionId)), []);
    const room = presence.channel("joined");
    assert.equal(await room.count({ states: { Mic: "False" } }), 1000);
    const changes = await presence.setStates(
      users("u").map((userId) => ({ channel, userId, states: { Mic: "True" } })),
    );
    assert.ok(changes.every(({ ok }) => ok));
    assert.equal(await room.count({ states: { Mic: "True" } }), 1000);
    reader.cancel();
  });

  it("S9 S22 gives a bad entry its own status, with the details of the single call, and carries the others out", async () => {
    await presence.joinMany(users("m").map((userId) => ({ channel: room, userId })));
    const entries = users("m").map((userId) => ({ channel: room, userId, states: { a: "1" } }));
    const bad = { channel: room, userId: "m500", states: { ["k".repeat(65)]: "1" } };
    const results = await presence.setStates(entries.map((entry, i) => (i === 500 ? bad : entry)));
    assert.deepEqual(
      results.map(reasonOf),
      entries.map((_, i) => (i === 500 ? "STATE_KEY_SIZE_OVERFLOW" : "OK")),
    );
    const [failed] = results.filter((result) => !result.ok);
    const single = await presence
      .channel(room.name, { userId: "m500" })
      .setState(bad.states)
      .catch((error: unknown) => error);
    assert.ok(single instanceof PresenceError);
    const { code, message: text, metadata, violations } = failed!.error;
    assert.deepEqual(
      [code, text, { ...metadata }, violations],
      [single.code, single.message, { ...single.metadata }, single.violations],
    );
    assert.equal(await presence.channel(room.name).count({ states: { a: "1" } }), 999);
  });

  it("S9 S11 S14 carries the entries of one user out in their order, as one change", async () => {
    const channel = { type: "message", name: "ordered" } as const;
    const entry = (states: Record<string, string>, more = {}) => ({ channel, userId: "ann", states, ...more });
    const [join] = await presence.joinMany([{ channel, userId: "ann" }]);
    const revision = (join!.ok ? join!.value.position.revision : assert.fail(join!.error)) + 1n;
    const results = await presence.setStates([
      entry({ n: "1" }),
      entry({ n: "2", m: "x" }),
      entry({ n: "3" }, { expectedRevision: 0n }),
      entry({ n: "4" }, { replace: true }),
    ]);
    assert.deepEqual(results.map(reasonOf), ["OK", "OK", "STATE_REVISION_MISMATCH", "OK"]);
    const states = results.map((result) => (result.ok ? result.value.state : result.error.currentState!));
    for (const state of states) assert.deepEqual([{ ...state.states }, state.revision], [{ n: "4" }, revision]);
    for (const result of results) if (result.ok) assert.equal(result.value.position.revision, revision);
  });

  it("sends one event for a thousand changes of one user, and an answer below 1 MiB", async () => {
    const channel = { type: "message", name: "r" } as const;
    const states = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`k${i}`, "x".repeat(4000)]));
    await presence.joinMany([{ channel, userId: "u", initialStates: states }]);
    const before = await presence.channel(channel.name).getState("u");
    const requests = Array.from({ length: 1000 }, (_, i) => {
      return { channel: message(channel.name), userId: "u", states: { n: String(i % 10) } };
    });
    const bytes = toBinary(BatchSetStateRequestSchema, create(BatchSetStateRequestSchema, { requests }));
    assert.ok(bytes.length < 22_000, `${bytes.length} bytes sent`);
    const subscribers = await CountingSubscribers.open(server.address, message(channel.name), 50);
    try {
      const answer = await callRaw(server.address, "BatchSetState", bytes);
      assert.ok(answer.length <= 1024 * 1024, `${answer.length} bytes answered`);
      const { results, statesOmitted } = fromBinary(BatchSetStateResponseSchema, answer);
      assert.deepEqual([results.length, statesOmitted], [1000, true]);
      const revision = before.revision + 1n;
      for (const { result } of results) {
        assert.ok(result.case === "response");
        const { state, position } = result.value;
        assert.deepEqual([state?.userId, state?.revision, position?.revision], ["u", revision, revision]);
        assert.deepEqual({ ...state?.states }, {});
      }
      const after = await presence.channel(channel.name).getState("u");
      assert.deepEqual([{ ...after.states }, after.revision], [{ ...states, n: "9" }, revision]);
      // The next event comes behind all of the batch's.
      await presence.channel(channel.name, { userId: "u" }).setState({}, { replace: true });
      const received = await subscribers.receivedUntil(revision + 1n);
      for (const one of received) assert.ok(one < 20_000, `${one} bytes to a subscriber: more than one state`);
    } finally {
      subscribers.close();
    }
  });

  it("leaves the states out for our client too, which asks for its own", async () => {
    const name = "left out";
    const channel = { type: "message", name } as const;
    const self = createPresenceClient({ address: server.address, userId: "ann" });
    const subscription = self.channel(name).subscribe();
    await subscription.ready;
    const states = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`k${i}`, "x".repeat(4000)]));
    const large = await self.setStates(Array.from({ length: 40 }, () => ({ channel, states })));
    for (const result of large) assert.ok(result.ok && result.value.state.states !== undefined);
    const results = await self.setStates([
      ...Array.from({ length: 80 }, () => ({ channel, states: { n: "1" } })),
      { channel, states: { n: "2" }, expectedRevision: 7n },
    ]);
    assert.deepEqual(new Set(results.map(reasonOf)), new Set(["OK", "STATE_REVISION_MISMATCH"]));
    for (const result of results) {
      if (result.ok) assert.equal(result.value.state.states, undefined);
      else assert.deepEqual({ ...result.error.currentState?.states }, {});
    }
    assert.deepEqual({ ...subscription.members.get("ann")?.states }, { ...states, n: "1" });
    const leases = await self.joinMany(Array.from({ length: 31 }, () => ({ channel })));
    for (const result of leases) assert.ok(result.ok && result.value.state.states?.n === "1");
    await self.close();
  });

  it("S20 refuses in its own entry whom the caller may not act for", async () => {
    const named = connect(server.address, "ann");
    const channel = message("allowed");
    const { results } = await named.client.batchJoinChannel({
      requests: [{ channel, userId: "ann" }, { channel, userId: "bob" }, { channel }],
    });
    assert.deepEqual(
      results.map(({ result }) => (result.case === "error" ? result.value.code : result.case)),
      ["response", status.PERMISSION_DENIED, "response"],
    );
    named.channel.close();
    assert.equal(await presence.channel("allowed").count(), 1);
  });

  it("S22 refuses a batch of none, and one of 1001, as a whole", async () => {
    for (const count of [0, 1001]) {
      const requests = users("x", count).map((userId) => ({ channel: message("whole"), userId, states: { a: "1" } }));
      for (const call of [connection.client.batchJoinChannel, connection.client.batchSetState]) {
        const { code, violations } = await refusalOf(call({ requests }));
        assert.deepEqual([code, violations[0]?.field], ["INVALID_ARGUMENT", "requests"]);
      }
    }
    assert.equal(await presence.channel("whole").count(), 0);
  });

  it("S21 takes 1 MiB in a batch, and 64 KiB in any other call", async () => {
    const client = new Client(server.address, credentials.createInsecure());
    const send = (method: string, bytes: Uint8Array): Promise<ServiceError | null> =>
      new Promise((resolve) => {
        const path = `/presence.v1.PresenceService/${method}`;
        const same = (buffer: Buffer): Buffer => buffer;
        client.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error) => resolve(error));
      });
    const entry = (pairs: number) => ({
      channel: message("sizes"),
      userId: "ann",
      states: Object.fromEntries(Array.from({ length: pairs }, (_, i) => [`k${i}`, "x".repeat(4000)])),
    });
    const single = (pairs: number) => toBinary(SetStateRequestSchema, create(SetStateRequestSchema, entry(pairs)));
    const batch = (entries: number) =>
      toBinary(
        BatchSetStateRequestSchema,
        create(BatchSetStateRequestSchema, { requests: Array.from({ length: entries }, () => entry(1)) }),
      );
    assert.equal((await send("SetState", single(4)))?.code, undefined);
    const tooLarge = await send("SetState", single(17));
    assert.deepEqual([tooLarge?.code, single(17).length > 65_536], [status.RESOURCE_EXHAUSTED, true]);
    assert.match(tooLarge!.details, /^Received message larger than max \(\d+ vs\. 65536\)$/);
    assert.equal((await send("SubscribePresence", single(17)))?.code, status.RESOURCE_EXHAUSTED);
    assert.equal((await send("BatchSetState", batch(200)))?.code, undefined);
    assert.equal((await send("BatchSetState", batch(300)))?.code, status.RESOURCE_EXHAUSTED);
    client.close();
  });
});
