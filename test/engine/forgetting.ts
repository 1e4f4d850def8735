import assert from "node:assert/strict";
import { Bench, type MakeEngine, OTHER_ROOM, ROOM } from "./fixture.js";

/** Nothing is kept for good (S23). */
export function forgettingTests(makeEngine: MakeEngine): void {
  it("S23 remembers an empty channel for as long as it may be resumed, and no longer", async () => {
    const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
    await bench.join(ROOM, "ann");
    await bench.leave(ROOM, "ann");
    const begin = await bench.positionAt(ROOM, 0);
    await bench.pass(999);
    assert.equal((await bench.engine.replay(ROOM, begin))?.length, 2);
    assert.equal(bench.engine.stats().channels, 1);
    await bench.pass(1);
    assert.equal(await bench.engine.replay(ROOM, begin), undefined);
    assert.equal(bench.engine.stats().channels, 0);
  });

  it("S14 S23 begins another life of a channel under another epoch, above all revisions of all channels", async () => {
    const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
    await bench.join(ROOM, "ann");
    const first = (await bench.engine.summary(ROOM)).position;
    await bench.leave(ROOM, "ann");
    await bench.pass(1000);
    // More changes than the clock has revisions for, because no time passes.
    await bench.join(OTHER_ROOM, "bob");
    for (let i = 0; i < 200; i++) await bench.set(OTHER_ROOM, "bob", { i: String(i) });
    const highest = (await bench.engine.summary(OTHER_ROOM)).position.revision;
    await bench.join(ROOM, "ann");
    const second = (await bench.engine.summary(ROOM)).position;
    assert.notEqual(second.epoch, first.epoch);
    assert.ok(second.revision > highest && highest > first.revision + 200);
    assert.ok(second.revision < 2 ** 52);
    assert.equal(await bench.engine.replay(ROOM, first), undefined);
  });

  it("S23 goes on with the same life when somebody comes back in time", async () => {
    const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
    await bench.join(ROOM, "ann");
    const { position } = await bench.engine.summary(ROOM);
    await bench.leave(ROOM, "ann");
    await bench.pass(999);
    await bench.join(ROOM, "bob");
    await bench.pass(5000);
    assert.equal((await bench.engine.replay(ROOM, position))?.length, 2);
  });

  it("S23 does not forget a channel where somebody is, something waits, or somebody watches", async () => {
    const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
    const stop = await bench.engine.watch({ type: 1, name: "watched" }, () => {});
    await bench.set({ type: 1, name: "pending" }, "ann", { mood: "fine" });
    await bench.join({ type: 1, name: "joined" }, "ann");
    await bench.pass(10_000);
    assert.equal(bench.engine.stats().channels, 3);
    await stop();
    await bench.do({ type: 1, name: "pending" }, "ann", { kind: "remove", keys: [] });
    await bench.leave({ type: 1, name: "joined" }, "ann");
    await bench.pass(1000);
    assert.deepEqual(bench.engine.stats(), { channels: 0, present: 0, sessions: 0, users: 0 });
    assert.deepEqual((await bench.engine.read(ROOM, "ann")).elsewhere, {
      channels: 0,
      attachedChannels: 0,
      pendingPairs: 0,
    });
  });

  it("S12 S23 keeps nothing of a user who is gone from everywhere, and keeps one who is somewhere", async () => {
    const bench = await Bench.of(makeEngine);
    const users = () => bench.engine.stats().users;
    await bench.join(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    await bench.join(ROOM, "bob");
    await bench.set(ROOM, "cid", { mood: "pending" });
    assert.equal(users(), 3);
    await bench.leave(ROOM, "ann");
    await bench.leave(ROOM, "bob");
    assert.equal(users(), 2);
    await bench.leave(OTHER_ROOM, "ann");
    await bench.do(ROOM, "cid", { kind: "remove", keys: [] });
    assert.equal(users(), 0);
    await bench.join(ROOM, "ann");
    assert.equal(users(), 1);
  });

  it("S17 S23 keeps nothing of users whose sessions timed out, however many they were", async () => {
    const bench = await Bench.of(makeEngine);
    const userIds = Array.from({ length: 300 }, (_, i) => `user ${i}`);
    for (const userId of userIds) {
      const sessionId = await bench.join(ROOM, userId);
      await bench.do(ROOM, userId, { kind: "detach", sessionId, attachment: 0 });
    }
    assert.equal(bench.engine.stats().users, 300);
    bench.tick = 30_000;
    for (const userId of userIds) await bench.do(ROOM, userId, { kind: "expire" });
    const { users, sessions, present } = bench.engine.stats();
    assert.deepEqual([users, sessions, present], [0, 0, 0]);
  });
}
