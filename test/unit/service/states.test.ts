import assert from "node:assert/strict";
import { stateOf } from "../../../src/channel/member.js";
import { largeRevisions } from "../../support/revisions.js";
import { type Client, ROOM, refusal, room, World } from "./world.js";

describe("service: states", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  it("S9 S11 merges, and announces the whole state once", async () => {
    const listener = await world.listen();
    await world.subscribe("ann", { initialStates: { seat: "7" } });
    listener.told();
    const { state, pending, position } = await world.set("ann", { mood: "fine", hat: "red" });
    assert.deepEqual(state.states, { seat: "7", mood: "fine", hat: "red" });
    assert.deepEqual([pending, position.revision, state.revision], [false, 3, 3]);
    const [event, ...more] = listener.sink.take();
    assert.deepEqual(more, []);
    assert.ok(event!.event.case === "remoteStateChanged");
    assert.deepEqual({ ...event!.event.value.state!.states }, { seat: "7", mood: "fine", hat: "red" });
    assert.deepEqual(event!.event.value.changedKeys, ["hat", "mood"]);
    assert.deepEqual(await world.get("ann"), { seat: "7", mood: "fine", hat: "red" });
  });

  it("S9 replaces the whole where that is asked for", async () => {
    await world.subscribe("ann", { initialStates: { seat: "7" } });
    const { state } = await world.set("ann", { mood: "fine" }, { replace: true });
    assert.deepEqual(state.states, { mood: "fine" });
  });

  it("S9 S20 lets nobody write another user's state", async () => {
    await world.subscribe("ann");
    for (const call of [
      () => world.set("bob", { mood: "awful" }, { userId: "ann" }),
      () => world.remove("bob", [], { userId: "ann" }),
    ]) {
      const { metadata } = await refusal("NOT_ALLOWED", call);
      assert.deepEqual(metadata, { user_id: "ann" });
    }
    assert.deepEqual(await world.get("ann"), {});
  });

  it("S9 S21 changes nothing and tells nobody when the merged state would pass a limit", async () => {
    const listener = await world.listen();
    const full = Object.fromEntries([...Array(32).keys()].map((i) => [`key ${i}`, ""]));
    await world.subscribe("ann", { initialStates: full });
    listener.told();
    const { metadata } = await refusal("STATE_COUNT_OVERFLOW", () => world.set("ann", { more: "" }));
    assert.deepEqual(metadata, { limit: "32", actual: "33" });
    const large = Object.fromEntries([...Array(4).keys()].map((i) => [`key ${i}`, "x".repeat(4096)]));
    await refusal("STATE_SIZE_OVERFLOW", () => world.set("ann", large));
    await world.settle();
    assert.deepEqual(listener.told(), []);
    assert.deepEqual(await world.get("ann"), full);
  });

  it("S10 S11 deletes keys and announces what is left, even if nothing is", async () => {
    const listener = await world.listen();
    await world.subscribe("ann", { initialStates: { a: "1", b: "2" } });
    listener.told();
    assert.deepEqual((await world.remove("ann", ["a", "unknown"])).state.states, { b: "2" });
    await world.remove("ann", []);
    assert.deepEqual(listener.told(), ["state ann 3 b=2", "state ann 4"]);
    assert.deepEqual(await world.get("ann"), {});
  });

  it("S12 keeps a state for the join, seen by nobody, and announces both in one delivery", async () => {
    const listener = await world.listen();
    const written = await world.set("ann", { mood: "fine", seat: "7" });
    assert.equal(written.pending, true);
    assert.deepEqual(written.state.states, { mood: "fine", seat: "7" });
    assert.equal((await world.remove("ann", ["seat"])).pending, true);
    await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("ann"));
    assert.deepEqual(await world.online(), []);
    assert.deepEqual(listener.told(), []);
    await world.subscribe("ann", { initialStates: { hat: "red" } });
    assert.equal(listener.sink.responses.length, 1);
    assert.deepEqual(listener.told(), ["join ann 1", "state ann 2 hat=red mood=fine"]);
  });

  it("S12 says when what waits is forgotten, as long as something does", async () => {
    world = new World({ rules: { pendingTtlMs: 10_000 } });
    await world.pass(123);
    const { wall } = world.clock.now();
    assert.equal((await world.set("ann", { mood: "fine", seat: "7" })).pendingExpireTime, wall + 10_000);
    await world.pass(4000);
    assert.equal((await world.remove("ann", ["seat"])).pendingExpireTime, wall + 14_000);
    const [set, refused, other] = await world.setAll([
      { userId: "ann", states: { hat: "red" } },
      { userId: "ann", states: { "": "" } },
      { userId: "bob", states: {} },
    ]);
    assert.ok("done" in set! && "failed" in refused! && "done" in other!);
    assert.deepEqual([set.done.pendingExpireTime, other.done.pendingExpireTime], [wall + 14_000, undefined]);
    const nothing = await world.remove("ann", []);
    assert.deepEqual([nothing.pending, nothing.pendingExpireTime], [true, undefined]);

    await world.set("ann", { mood: "fine" });
    await world.subscribe("ann", { quiet: true });
    assert.equal((await world.set("ann", { mood: "off" })).pendingExpireTime, wall + 14_000);
    await world.subscribe("ann");
    const present = await world.set("ann", { mood: "fine" });
    assert.deepEqual([present.pending, present.pendingExpireTime], [false, undefined]);
  });

  it("S12 takes effect at the join by a lease as well", async () => {
    await world.set("ann", { mood: "fine" });
    const { state } = await world.joinLease("ann", { initialStates: { hat: "red" } });
    assert.deepEqual({ ...state!.states }, { mood: "fine", hat: "red" });
  });

  it("S12 forgets a state that waits, 300 s after its last write", async () => {
    await world.set("ann", { mood: "fine" });
    await world.pass(299_999);
    await world.set("ann", { seat: "7" });
    await world.pass(299_999);
    assert.deepEqual((await world.set("ann", {})).state.states, { mood: "fine", seat: "7" });
    await world.pass(300_000);
    await world.pass(60_000);
    assert.deepEqual(world.memory.stats(), { channels: 0, present: 0, sessions: 0, users: 0 });
    await world.subscribe("ann");
    assert.deepEqual(await world.get("ann"), {});
  });

  it("S12 S21 limits what waits over all channels, also where two calls come at once", async () => {
    const many = (count: number, name: string) =>
      Object.fromEntries([...Array(count).keys()].map((i) => [`${name} ${i}`, ""]));
    await world.set("ann", many(32, "a"), { channel: room("a") });
    await world.set("ann", many(32, "b"), { channel: room("b") });
    await world.set("ann", many(20, "c"), { channel: room("c") });
    const { metadata } = await refusal("CACHED_TOO_MANY_STATES", () =>
      world.set("ann", many(17, "d"), { channel: room("d") }),
    );
    assert.deepEqual(metadata, { limit: "100", actual: "101" });
    const both = await Promise.allSettled([
      world.set("ann", many(16, "d"), { channel: room("d") }),
      world.set("ann", many(16, "e"), { channel: room("e") }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    await world.subscribe("ann", { channel: room("a") });
    await world.set("ann", many(32, "f"), { channel: room("f") });
    await world.set("bob", many(32, "f"), { channel: room("f") });
  });

  it("S13 reads the state of whoever is present, for anybody", async () => {
    await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("ann"));
    await world.subscribe("ann");
    assert.deepEqual(await world.get("ann"), {});
    const error = await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("ann", { channel: room("other") }));
    assert.deepEqual(error.metadata, { user_id: "ann", channel: "other" });
  });

  it("S14 sets only where the revision is the expected one, and brings the state as it is", async () => {
    await world.subscribe("ann");
    const { state } = await world.set("ann", { turn: "1" }, { expectedRevision: 0n });
    const error = await refusal("STATE_REVISION_MISMATCH", () =>
      world.set("ann", { turn: "9" }, { expectedRevision: 1n }),
    );
    assert.deepEqual(error.metadata, { expected: "1", actual: String(state.revision) });
    assert.deepEqual(error.currentState?.states, { turn: "1" });
    await refusal("STATE_REVISION_MISMATCH", () => world.set("ann", {}, { expectedRevision: 2n ** 64n - 1n }));
    await world.set("ann", { turn: "2" }, { expectedRevision: BigInt(state.revision) });
  });

  it("S14 lets one of two win that expect the same", async () => {
    await world.subscribe("ann");
    const both = await Promise.allSettled([
      world.set("ann", { turn: "1" }, { expectedRevision: 0n }),
      world.set("ann", { turn: "2" }, { expectedRevision: 0n }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  });

  it("S14 lets one of two win that expect the same, on a pending state too", async () => {
    const race = async (expectedRevision: number) => {
      const both = await Promise.allSettled(
        ["1", "2"].map((turn) => world.set("ann", { turn }, { expectedRevision: BigInt(expectedRevision) })),
      );
      const [winner, ...others] = both.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      assert.deepEqual(others, []);
      return winner!;
    };
    const first = await race(0);
    assert.ok(first.pending && first.state.revision >= 2 ** 52);
    const second = await race(first.state.revision);
    assert.notEqual(second.state.revision, first.state.revision);
    const error = await refusal("STATE_REVISION_MISMATCH", () => world.set("ann", {}, { expectedRevision: 0n }));
    assert.deepEqual(error.currentState, second.state);
    assert.equal((await world.remove("ann", [])).state.revision, 0);
    await race(0);
  });

  /** What a state goes through after it was read, so that its revision may not match any more. */
  const ENDS: Record<string, (world: World, ann: Client) => Promise<unknown>> = {
    "the user left and joined again": async (world) => {
      await world.leave("ann");
      await world.subscribe("ann", { initialStates: { turn: "9" } });
    },
    "the user timed out and joined again": async (world, ann) => {
      await ann.gone("lost");
      await world.pass(30_000);
      await world.subscribe("ann", { initialStates: { turn: "9" } });
    },
    "the channel was forgotten, and the user joined again": async (world) => {
      await world.leave("ann");
      await world.pass(60_000);
      assert.equal(world.memory.stats().channels, 0);
      await world.subscribe("ann", { initialStates: { turn: "9" } });
    },
    "the channel was forgotten, and a state is pending": async (world) => {
      await world.leave("ann");
      await world.pass(60_000);
      await world.set("ann", { turn: "9" });
    },
    "the channel was forgotten, and the wall clock went back": async (world) => {
      await world.leave("ann");
      await world.pass(60_000);
      world.clock.jumpWall(-3600_000);
      await world.subscribe("ann", { initialStates: { turn: "9" } });
    },
  };

  for (const [what, end] of Object.entries(ENDS)) {
    it(`S14 matches no revision from before ${what}`, async () => {
      for (const revisionsOf of [largeRevisions, undefined]) {
        world = new World({ revisionsOf });
        const past = new Set<number>();
        past.add((await world.set("ann", { turn: "0" })).state.revision);
        const ann = await world.subscribe("ann");
        past.add(stateOf(world.memory.read({ type: 1, name: ROOM.name }, "ann").member).revision);
        for (let i = 1; i <= 5; i++) past.add((await world.set("ann", { turn: String(i) })).state.revision);
        assert.equal(past.size, 7);
        await end(world, ann);
        for (let i = 0; i < 7; i++) {
          for (const revision of past) {
            await refusal("STATE_REVISION_MISMATCH", () =>
              world.set("ann", { turn: "stale" }, { expectedRevision: BigInt(revision) }),
            );
          }
          const { state } = await world.set("ann", { turn: `new ${i}` });
          assert.ok(!past.has(state.revision));
        }
      }
    });
  }

  it("S14 matches the revision of a pending state until the join, and never after", async () => {
    const { state } = await world.set("ann", { turn: "1" });
    const expectedRevision = BigInt(state.revision);
    await world.subscribe("ann");
    await refusal("STATE_REVISION_MISMATCH", () => world.set("ann", { turn: "2" }, { expectedRevision }));
    await world.leave("ann");
    const again = await world.set("ann", { turn: "1" });
    assert.notEqual(again.state.revision, state.revision);
    await refusal("STATE_REVISION_MISMATCH", () => world.set("ann", { turn: "2" }, { expectedRevision }));
    await world.set("ann", { turn: "2" }, { expectedRevision: BigInt(again.state.revision) });
  });
});
