import assert from "node:assert/strict";
import type { ChannelId } from "../../src/model/channel_id.js";
import type { Delta } from "../../src/model/delta.js";
import { Bench, type MakeEngine, OTHER_ROOM, ROOM } from "./fixture.js";

const STAGE: ChannelId = { type: 2, name: ROOM.name };

/** What happens in all channels: watching them, and which are occupied. */
export function allChannelsTests(makeEngine: MakeEngine): void {
  /** Watches, and notes each commit in short, with revisions counted from the beginning: `1:room: 1 join ann (1)`. */
  async function listen(bench: Bench) {
    const epochs = new Set<string>();
    const commits: { name: string; epoch: string; deltas: readonly Delta[] }[] = [];
    const stop = await bench.engine.watchAll(({ type, name }, epoch, deltas) => {
      epochs.add(`${type}:${name} ${epoch}`);
      commits.push({ name: `${type}:${name}`, epoch, deltas });
    });
    const heard = () =>
      commits.map(({ name, epoch, deltas }) => {
        const told = deltas.map(({ kind, userId, revision, occupancy }) => {
          return `${bench.countOf({ epoch, revision })} ${kind} ${userId} (${occupancy})`;
        });
        return `${name}: ${told.join(", ")}`;
      });
    return { heard, epochs, stop };
  }

  const inShort = (channels: readonly ChannelId[]) => channels.map(({ type, name }) => `${type}:${name}`).sort();

  it("tells who watches all channels every commit's changes, in order, none left out, until they stop", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "early");
    const { heard, stop } = await listen(bench);
    await bench.join(ROOM, "ann", { mood: "fine" });
    await bench.join(STAGE, "ann");
    await bench.set(OTHER_ROOM, "pending", { mood: "quiet" });
    await bench.leave(ROOM, "early");
    await bench.join(OTHER_ROOM, "bob");
    await bench.leave(STAGE, "ann");
    await stop();
    await bench.leave(ROOM, "ann");
    assert.deepEqual(heard(), [
      "1:room: 2 join ann (2), 3 state ann (2)",
      "2:room: 1 join ann (1)",
      "1:room: 4 leave early (1)",
      "1:other: 1 join bob (1)",
      "2:room: 2 leave ann (0)",
    ]);
  });

  it("tells each of those who watch all channels, and stops each by itself", async () => {
    const bench = await Bench.of(makeEngine);
    const first = await listen(bench);
    const second = await listen(bench);
    const same = () => heardTwice.push("heard");
    const heardTwice: string[] = [];
    const stopOne = await bench.engine.watchAll(same);
    await bench.engine.watchAll(same);
    await bench.join(ROOM, "ann");
    await first.stop();
    await stopOne();
    await bench.leave(ROOM, "ann");
    assert.equal(first.heard().length, 1);
    assert.equal(second.heard().length, 2);
    assert.equal(heardTwice.length, 3);
  });

  it("names the epoch that the channel's positions have, another one in another life", async () => {
    const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
    const { epochs } = await listen(bench);
    await bench.join(ROOM, "ann");
    const { epoch } = (await bench.engine.summary(ROOM)).position;
    assert.deepEqual([...epochs], [`1:room ${epoch}`]);
    await bench.leave(ROOM, "ann");
    await bench.pass(1000);
    assert.equal(bench.engine.stats().channels, 0, "watching all keeps no channel");
    await bench.join(ROOM, "ann");
    const next = (await bench.engine.summary(ROOM)).position.epoch;
    assert.notEqual(next, epoch);
    assert.deepEqual([...epochs], [`1:room ${epoch}`, `1:room ${next}`]);
  });

  it("lists the channels where somebody is present", async () => {
    const bench = await Bench.of(makeEngine);
    assert.deepEqual(await bench.engine.occupied(), []);
    await bench.join(ROOM, "ann");
    await bench.join(ROOM, "bob");
    await bench.join(STAGE, "ann");
    await bench.set(OTHER_ROOM, "pending", { mood: "quiet" });
    await bench.engine.watch({ type: 1, name: "watched" }, () => {});
    assert.deepEqual(inShort(await bench.engine.occupied()), ["1:room", "2:room"]);
    await bench.leave(ROOM, "ann");
    await bench.leave(STAGE, "ann");
    assert.deepEqual(inShort(await bench.engine.occupied()), ["1:room"]);
    await bench.leave(ROOM, "bob");
    assert.deepEqual(await bench.engine.occupied(), []);
  });

  it("lists them behind the news of how they came to be", async () => {
    const bench = await Bench.of(makeEngine);
    const { heard } = await listen(bench);
    const doings = [bench.join(ROOM, "ann"), bench.join(STAGE, "ann")];
    const channels = await bench.engine.occupied();
    const known = new Set(heard().map((one) => one.split(": ")[0]));
    for (const channel of inShort(channels)) assert.ok(known.has(channel), channel);
    await Promise.all(doings);
    await bench.leave(ROOM, "ann");
    assert.deepEqual(inShort(await bench.engine.occupied()), ["2:room"]);
    assert.equal(heard().at(-1), "1:room: 2 leave ann (0)");
  });

  it("has everything in snapshots and in the list that a watch begun before was not called with", async () => {
    const bench = await Bench.of(makeEngine);
    const channels = [...Array(5).keys()].map((i): ChannelId => ({ type: 1, name: `room ${i}` }));
    const known = new Map<string, Set<string>>(channels.map(({ name }) => [name, new Set()]));
    const joins = [...Array(20).keys()].map((i) => bench.join(channels[i % 5]!, `user ${i}`));
    await bench.engine.watchAll(({ name }, _epoch, deltas) => {
      for (const { userId } of deltas) known.get(name)!.add(userId);
    });
    for (const channel of await bench.engine.occupied()) {
      const { users } = await bench.engine.snapshot(channel);
      for (const { userId } of users) known.get(channel.name)!.add(userId);
    }
    await Promise.all(joins);
    for (const users of known.values()) assert.equal(users.size, 4);
  });
}
