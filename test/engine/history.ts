import assert from "node:assert/strict";
import type { Delta } from "../../src/model/delta.js";
import { Bench, type MakeEngine, OTHER_ROOM, ROOM } from "./fixture.js";

/** What happened: watching and replaying. */
export function historyTests(makeEngine: MakeEngine): void {
  it("tells watchers every commit's changes, in order, none left out, until they stop", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "early");
    const heard: Delta[][] = [];
    const alsoHeard: Delta[] = [];
    const { revision: begin } = await bench.positionAt(ROOM, 0);
    const stop = await bench.engine.watch(ROOM, (deltas) => heard.push([...deltas]));
    await bench.engine.watch(ROOM, (deltas) => alsoHeard.push(...deltas));
    await bench.join(ROOM, "ann", { mood: "fine" });
    await bench.set(ROOM, "pending", { mood: "quiet" });
    await bench.join(OTHER_ROOM, "ann");
    await bench.leave(ROOM, "early");
    await stop();
    await bench.leave(ROOM, "ann");
    assert.deepEqual(
      heard.map((deltas) => deltas.map(({ kind, userId, revision }) => `${revision - begin} ${kind} ${userId}`)),
      [["2 join ann", "3 state ann"], ["4 leave early"]],
    );
    assert.deepEqual(
      alsoHeard.map(({ revision }) => revision - begin),
      [2, 3, 4, 5],
    );
  });

  it("has everything in a snapshot that a watch begun before was not called with", async () => {
    const bench = await Bench.of(makeEngine);
    const heard: Delta[] = [];
    const joins = [...Array(20).keys()].map(async (i) => {
      await bench.join(ROOM, `user ${i}`);
    });
    await bench.engine.watch(ROOM, (deltas) => heard.push(...deltas));
    const { position, users } = await bench.engine.snapshot(ROOM);
    await Promise.all(joins);
    const known = new Set(users.map(({ userId }) => userId));
    for (const { revision, userId } of heard) if (revision > position.revision) known.add(userId);
    assert.equal(known.size, 20);
  });

  it("S16 replays what came after a position that it remembers", async () => {
    const bench = await Bench.of(makeEngine);
    const before = await bench.do(ROOM, "ann", {
      kind: "join",
      sessionId: "one",
      session: { kind: "lease", ttlMs: 1000 },
      resume: undefined,
      deviceId: "",
      initialStates: {},
    });
    const { position } = before;
    const committed = [
      ...(await bench.set(ROOM, "ann", { a: "1" })).deltas,
      ...(await bench.set(ROOM, "ann", { a: "2" })).deltas,
    ];
    assert.deepEqual(await bench.engine.replay(ROOM, position), committed);
    const from = await bench.positionAt(ROOM, 0);
    assert.deepEqual(await bench.engine.replay(ROOM, from), [...before.deltas, ...committed]);
    assert.equal(await bench.engine.replay(ROOM, { ...from, revision: from.revision - 1 }), undefined);
    assert.equal(await bench.engine.replay(ROOM, { ...from, revision: 0 }), undefined);
    assert.deepEqual(await bench.engine.replay(ROOM, await bench.positionAt(ROOM, 3)), []);
  });

  it("S16 replays nothing after a position of the future, of another life, or of another channel", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    const { position } = await bench.engine.summary(ROOM);
    const replay = (from: { epoch: string; revision: number }) => bench.engine.replay(ROOM, from);
    assert.deepEqual(await replay(position), []);
    assert.equal(await replay({ ...position, revision: position.revision + 1 }), undefined);
    assert.equal(await replay({ ...position, revision: Number.POSITIVE_INFINITY }), undefined);
    assert.equal(await replay({ epoch: "another", revision: 0 }), undefined);
    assert.equal(await replay({ epoch: "", revision: 0 }), undefined);
    assert.equal(await bench.engine.replay(OTHER_ROOM, position), undefined);
    assert.equal(await bench.engine.replay({ type: 2, name: "room" }, position), undefined);
  });

  it("S16 remembers so many changes and no more", async () => {
    const bench = await Bench.of(makeEngine, { log: { maxEvents: 3, maxBytes: 1e6 } });
    for (let i = 0; i < 50; i++) await bench.join(ROOM, `user ${i}`);
    const replay = async (count: number) => bench.engine.replay(ROOM, await bench.positionAt(ROOM, count));
    const kept = await replay(47);
    assert.deepEqual(
      kept?.map(({ userId }) => userId),
      ["user 47", "user 48", "user 49"],
    );
    assert.equal(await replay(46), undefined);
  });

  it("S16 remembers so many bytes and no more", async () => {
    const bench = await Bench.of(makeEngine, { log: { maxEvents: 1000, maxBytes: 10_000 } });
    await bench.join(ROOM, "ann");
    for (let i = 0; i < 20; i++) await bench.set(ROOM, "ann", { big: "x".repeat(1000) });
    const { position } = await bench.engine.summary(ROOM);
    const kept = (revision: number) => bench.engine.replay(ROOM, { ...position, revision });
    assert.equal(await kept(position.revision - 12), undefined);
    assert.equal((await kept(position.revision - 5))?.length, 5);
  });

  it("S16 remembers nothing where that is asked for", async () => {
    const bench = await Bench.of(makeEngine, { log: { maxEvents: 0, maxBytes: 1e6 } });
    await bench.join(ROOM, "ann");
    assert.equal(await bench.engine.replay(ROOM, await bench.positionAt(ROOM, 0)), undefined);
    assert.deepEqual(await bench.engine.replay(ROOM, await bench.positionAt(ROOM, 1)), []);
  });
}
