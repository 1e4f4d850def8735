import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { QuotaSettings } from "../../../src/service/admission.js";
import { property } from "../../support/property.js";
import { authenticated } from "./callers.js";
import { NO_QUOTAS, refusal, room, World } from "./world.js";

const worldOf = (quotas: Partial<QuotaSettings>) => new World({ settings: { quotas: { ...NO_QUOTAS, ...quotas } } });
const big = (length: number) => ({ mood: "x".repeat(length) });

describe("service: what is refused when a quota or the memory limit is reached", () => {
  let world: World;
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  async function refusedQuota(quota: string, limit: number, call: () => Promise<unknown>): Promise<void> {
    const before = world.memory.usage("");
    const error = await refusal("QUOTA_EXCEEDED", call);
    assert.deepEqual(error.metadata, { quota, limit: String(limit) });
    assert.equal(error.retryAfterMs, undefined);
    assert.deepEqual(world.memory.usage(""), before, "a refusal changes nothing");
  }

  it("keeps an app to its channels, whichever way they are opened", async () => {
    world = worldOf({ appMaxChannels: 2 });
    await world.joinLease("ann", { channel: room("a") });
    await world.set("bob", { mood: "pending" }, { channel: room("b") });
    await refusedQuota("channels", 2, () => world.joinLease("ann", { channel: room("c") }));
    await refusedQuota("channels", 2, () => world.set("ann", { mood: "x" }, { channel: room("c") }));
    await refusedQuota("channels", 2, () => world.open("ann", { channel: room("c") }));
    await world.joinLease("cid", { channel: room("b") });
    await world.leave("ann", { channel: room("a") });
    await world.joinLease("ann", { channel: room("a") });
    await world.leave("ann", { channel: room("a") });
    await world.pass(60_000);
    await world.joinLease("ann", { channel: room("c") });
  });

  it("keeps an app to its users, pending states and subscriptions", async () => {
    world = worldOf({ appMaxMembers: 3, appMaxPending: 1, appMaxStreams: 2 });
    await world.set("ann", { mood: "pending" });
    await world.set("ann", { mood: "other" });
    await refusedQuota("pending", 1, () => world.set("bob", { mood: "pending" }));
    await world.subscribe("bob");
    const second = await world.subscribe("bob");
    await refusedQuota("streams", 2, () => world.open("bob"));
    await world.joinLease("cid");
    await refusedQuota("members", 3, () => world.joinLease("dan"));
    await world.joinLease("ann");
    await second.gone("cancelled");
    await world.subscribe("cid");
  });

  it("keeps an app to its bytes, and lets its logs give way first", async () => {
    const limit = 40_000;
    world = worldOf({ appMaxBytes: limit });
    await world.joinLease("ann", { initialStates: big(4000) });
    for (let i = 0; i < 50; i++) {
      await world.set("ann", big(4000 - i));
      const { bytes, logBytes } = world.memory.usage("");
      assert.ok(bytes <= limit && logBytes <= limit / 2, `${bytes} bytes, of which ${logBytes} logs`);
    }
    let users = 0;
    const join = () => world.joinLease(`u${users}`, { initialStates: big(4000) });
    for (; users < 2; users++) await join();
    await refusedQuota("bytes", limit, async () => {
      for (; ; users++) await join();
    });
    const { bytes } = world.memory.usage("");
    assert.ok(bytes <= limit, `${bytes} bytes`);
  });

  it("counts each app by itself", async () => {
    world = worldOf({ appMaxMembers: 1 });
    const request = create(pb.JoinChannelRequestSchema, { channel: room("room") });
    const join = (app: string, userId: string) => world.service.joinChannel(authenticated(userId, { app }), request);
    await join("chat", "ann");
    await join("game", "ann");
    await refusal("QUOTA_EXCEEDED", () => join("chat", "bob"));
  });

  it("refuses an entry of a batch by itself", async () => {
    world = worldOf({ appMaxMembers: 2 });
    const requests = ["a", "b", "c"].map((userId) => ({ channel: room("room"), userId }));
    const results = await world.service.batchJoinChannel(
      { userId: undefined },
      create(pb.BatchJoinChannelRequestSchema, { requests }),
    );
    assert.deepEqual(
      results.map((result) => ("failed" in result ? (result.failed as { reason: string }).reason : "done")),
      ["done", "done", "QUOTA_EXCEEDED"],
    );
  });

  /** Users of every kind, who need a certain number of bytes. */
  async function inhabited(appMaxBytes = 0) {
    world = new World({
      settings: { quotas: { ...NO_QUOTAS, appMaxBytes } },
      log: { maxEvents: 0, maxBytes: 0 },
    });
    const client = await world.subscribe("ann", { initialStates: { mood: "fine", other: "x" } });
    const lost = await world.subscribe("bob", { initialStates: big(100) });
    const { sessionId } = await world.joinLease("cid");
    await world.set("pending", { mood: "waits" });
    await lost.gone("lost");
    return { client, lost, sessionId };
  }

  for (const limit of ["a quota", "the memory limit"]) {
    it(`lets returns, heartbeats, removals, leaves, losses and writes that do not grow pass beyond ${limit}`, async () => {
      await inhabited();
      const isQuota = limit === "a quota";
      const { client, lost, sessionId } = await inhabited(isQuota ? world.memory.usage("").bytes : 0);
      world.memoryShort = !isQuota;
      const before = world.memory.usage("");
      for (const call of [
        () => world.joinLease("new"),
        () => world.joinLease("cid"),
        () => world.open("ann"),
        () => world.set("ann", { third: "grows" }),
        () => world.set("other", { mood: "pending" }),
        () => world.joinLease("ann", { channel: room("other") }),
      ]) {
        const error = await refusal(isQuota ? "QUOTA_EXCEEDED" : "SERVER_OVERLOADED", call);
        assert.equal(error.retryAfterMs, isQuota ? undefined : 2000);
      }
      assert.deepEqual(world.memory.usage(""), before);
      const returned = await world.subscribe("bob", { sessionId: lost.sessionId, initialStates: big(100) });
      assert.equal(returned.sessionId, lost.sessionId);
      assert.deepEqual(await world.heartbeat("cid", [sessionId]), []);
      await world.set("ann", { mood: "" });
      await world.set("ann", { other: "y" });
      await world.remove("ann", ["other"]);
      await world.remove("pending", []);
      await returned.gone("lost");
      await world.leave("cid");
      await client.gone("cancelled");
      await world.pass(30_000);
      await world.pass(60_000);
      assert.equal(world.memory.stats().channels, 0);
    });
  }

  it("lets logs give way while memory is short", async () => {
    world = worldOf({});
    await world.joinLease("ann", { initialStates: big(1000) });
    for (let i = 0; i < 10; i++) await world.set("ann", big(1000 - i));
    const { logBytes } = world.memory.usage("");
    world.memoryShort = true;
    await world.set("ann", big(900));
    assert.equal(world.memory.usage("").logBytes, 0, `${logBytes} before`);
  });

  const step = fc.record({
    kind: fc.constantFrom("join", "leave", "set", "remove"),
    userId: fc.constantFrom("a", "b", "c", "d"),
    channel: fc.constantFrom("x", "y", "z"),
    size: fc.integer({ min: 0, max: 2000 }),
  });
  property("an app never takes more than its quotas", [fc.array(step, { maxLength: 40 })], async (steps) => {
    const quotas = { appMaxChannels: 2, appMaxMembers: 4, appMaxBytes: 20_000, appMaxPending: 2, appMaxStreams: 0 };
    world = worldOf(quotas);
    for (const { kind, userId, channel, size } of steps) {
      const init = { channel: room(channel) };
      const calls: Record<string, () => Promise<unknown>> = {
        join: () => world.joinLease(userId, { ...init, initialStates: big(size) }),
        leave: () => world.leave(userId, init),
        set: () => world.set(userId, big(size), init),
        remove: () => world.remove(userId, [], init),
      };
      await calls[kind]!().catch(() => {});
      const usage = world.memory.usage("");
      assert.ok(usage.channels <= 2 && usage.members <= 4 && usage.pending <= 2, JSON.stringify(usage));
      // A new channel's own size is not known before.
      assert.ok(usage.bytes <= 20_000 + 2 * 1400, JSON.stringify(usage));
    }
  });
});
