import assert from "node:assert/strict";
import fc from "fast-check";
import type { SetStates } from "../../src/channel/command.js";
import { isDetached, pendingPairs, stranger } from "../../src/channel/member.js";
import type { ChannelId } from "../../src/model/channel_id.js";
import { property } from "../support/property.js";
import { Bench, joining, type MakeEngine, OTHER_ROOM, ROOM, setting } from "./fixture.js";

/** Reading and committing: compare-and-set for one user, one order for all of a channel. */
export function commitTests(makeEngine: MakeEngine): void {
  it("reads a user of whom nothing is known as a stranger", async () => {
    const { engine } = await Bench.of(makeEngine);
    const { member, elsewhere } = await engine.read(ROOM, "ann");
    assert.deepEqual(member, stranger("ann"));
    assert.deepEqual(elsewhere, { channels: 0, attachedChannels: 0, pendingPairs: 0 });
    assert.equal(engine.stats().channels, 0);
  });

  it("reads what was committed", async () => {
    const bench = await Bench.of(makeEngine);
    const committed = await bench.do(ROOM, "ann", joining("one", { mood: "fine" }));
    const { revision: last } = committed.position;
    assert.deepEqual(
      committed.deltas.map(({ kind, revision, occupancy, time }) => ({ kind, revision, occupancy, time })),
      [
        { kind: "join", revision: last - 1, occupancy: 1, time: 1000 },
        { kind: "state", revision: last, occupancy: 1, time: 1000 },
      ],
    );
    assert.equal(committed.member.presence?.state.revision, last);
    assert.equal(committed.occupancy, 1);
    assert.deepEqual((await bench.engine.read(ROOM, "ann")).member, committed.member);
    assert.deepEqual(committed.member.presence?.state.states, { mood: "fine" });
  });

  it("commits a batch of one user as one change", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann", { mood: "fine", seat: "7" });
    const before = (await bench.engine.summary(ROOM)).position;
    const entries: readonly SetStates[] = [
      { kind: "set", states: { mood: "tired" }, replace: false, expectedRevision: before.revision },
      { kind: "set", states: { mood: "fine", hat: "red" }, replace: true, expectedRevision: undefined },
    ];
    const { deltas, position, member } = await bench.do(ROOM, "ann", { kind: "batch", entries });
    assert.deepEqual(
      deltas.map((delta) => delta.kind === "state" && [delta.revision, delta.changedKeys, delta.removedKeys]),
      [[position.revision, ["hat"], ["seat"]]],
    );
    assert.equal(position.revision, before.revision + 1);
    assert.deepEqual(member.presence?.state.states, { mood: "fine", hat: "red" });
    assert.deepEqual(await bench.engine.replay(ROOM, before), deltas);
  });

  it("refuses a commit on what somebody else has changed since, and changes nothing", async () => {
    const bench = await Bench.of(makeEngine);
    const first = await bench.engine.read(ROOM, "ann");
    const second = await bench.engine.read(ROOM, "ann");
    await bench.commit(ROOM, first, joining("one"));
    assert.equal(await bench.commit(ROOM, second, joining("two")), "conflict");
    const third = await bench.engine.read(ROOM, "ann");
    await bench.set(ROOM, "ann", { mood: "fine" });
    assert.equal(await bench.commit(ROOM, third, setting({ mood: "tired" })), "conflict");

    const { member } = await bench.engine.read(ROOM, "ann");
    assert.deepEqual(member.presence?.state.states, { mood: "fine" });
    assert.deepEqual(
      member.sessions.map(({ id }) => id),
      ["one"],
    );
    assert.equal(bench.countOf((await bench.engine.summary(ROOM)).position), 2);
  });

  it("refuses a commit on a user who has left since, even one who has come back", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann");
    const read = await bench.engine.read(ROOM, "ann");
    await bench.leave(ROOM, "ann");
    assert.equal(await bench.commit(ROOM, read, setting({ mood: "fine" })), "conflict");
    await bench.join(ROOM, "ann");
    assert.equal(await bench.commit(ROOM, read, setting({ mood: "fine" })), "conflict");
  });

  it("lets users of one channel change at the same time", async () => {
    const bench = await Bench.of(makeEngine);
    const ann = await bench.engine.read(ROOM, "ann");
    const bob = await bench.engine.read(ROOM, "bob");
    assert.notEqual(await bench.commit(ROOM, ann, joining("one")), "conflict");
    assert.notEqual(await bench.commit(ROOM, bob, joining("two")), "conflict");
    assert.equal((await bench.engine.summary(ROOM)).occupancy, 2);
  });

  it("gives many writers at once revisions that are all different, without a gap", async () => {
    const bench = await Bench.of(makeEngine);
    const revisions: number[] = [];
    const write = async (userId: string, value: string): Promise<void> => {
      const committed = await bench.commit(ROOM, await bench.engine.read(ROOM, userId), setting({ value }));
      if (committed === "conflict") await write(userId, value);
      else revisions.push(bench.countOf(committed.position));
    };
    const users = ["ann", "bob", "cid", "dan"];
    for (const userId of users) await bench.join(ROOM, userId);
    await Promise.all([...Array(40).keys()].map((i) => write(users[i % users.length]!, String(i))));
    assert.deepEqual(
      revisions.sort((a, b) => a - b),
      [...Array(40).keys()].map((i) => i + 5),
    );
  });

  it("gives each write of a pending state a revision of its own, which no channel's can be", async () => {
    const bench = await Bench.of(makeEngine);
    const revisions: number[] = [];
    const write = async (userId: string, value: string): Promise<void> => {
      const committed = await bench.commit(ROOM, await bench.engine.read(ROOM, userId), setting({ value }));
      if (committed === "conflict") return write(userId, value);
      const { revision } = committed.member.pending!;
      revisions.push(revision);
      assert.ok(Number.isSafeInteger(revision) && revision >= 2 ** 52, `${revision}`);
      assert.deepEqual(committed.deltas, []);
    };
    await Promise.all([...Array(40).keys()].map((i) => write(["ann", "bob"][i % 2]!, String(i))));
    assert.equal(new Set(revisions).size, 40);
    const { member } = await bench.engine.read(ROOM, "ann");
    assert.ok(revisions.includes(member.pending!.revision));

    const sets = ["1", "2"].map((a) => ({ kind: "set" as const, states: { a }, replace: false }));
    const [first, second] = sets.map((set) => ({ ...set, expectedRevision: undefined }));
    const { member: after } = await bench.do(ROOM, "ann", { kind: "batch", entries: [first!, second!] });
    assert.ok(!revisions.includes(after.pending!.revision));
    await bench.do(ROOM, "ann", { kind: "detach", sessionId: "none", attachment: 0 });
    assert.equal((await bench.engine.read(ROOM, "ann")).member.pending?.revision, after.pending!.revision);
    await bench.do(ROOM, "ann", { kind: "remove", keys: [] });
    assert.equal((await bench.engine.read(ROOM, "ann")).member.pending, undefined);
  });

  it("tells what the user has in other channels, and not what it has in this one", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann");
    await bench.join({ type: 2, name: "room" }, "ann");
    await bench.set(OTHER_ROOM, "ann", { a: "1", b: "2" });
    await bench.set({ type: 2, name: "other" }, "ann", { c: "3" });
    const elsewhere = async (channel: typeof ROOM) => (await bench.engine.read(channel, "ann")).elsewhere;
    assert.deepEqual(await elsewhere({ type: 1, name: "new" }), { channels: 2, attachedChannels: 2, pendingPairs: 3 });
    assert.deepEqual(await elsewhere(ROOM), { channels: 1, attachedChannels: 1, pendingPairs: 3 });
    assert.deepEqual(await elsewhere(OTHER_ROOM), { channels: 2, attachedChannels: 2, pendingPairs: 1 });
    assert.deepEqual((await bench.engine.read(ROOM, "bob")).elsewhere, {
      channels: 0,
      attachedChannels: 0,
      pendingPairs: 0,
    });
    await bench.leave(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    assert.deepEqual(await elsewhere({ type: 1, name: "new" }), { channels: 2, attachedChannels: 2, pendingPairs: 1 });
  });

  const rooms: ChannelId[] = ["a", "b", "c"].map((name) => ({ type: 1, name }));
  const step = fc.record({
    channel: fc.constantFrom(...rooms),
    kind: fc.constantFrom("open", "lease", "lose", "return", "leave", "set", "remove", "wait"),
    deviceId: fc.constantFrom("", "phone"),
  });

  property(
    "counts channels, channels with an attached session and pending pairs for any course of things",
    [fc.array(step, { maxLength: 40 })],
    async (steps) => {
      const bench = await Bench.of(makeEngine);
      const { engine } = bench;
      for (const [i, { channel, kind, deviceId }] of steps.entries()) {
        const { sessions } = (await engine.read(channel, "ann")).member;
        const last = sessions.findLast((session) => session.kind === "stream");
        const join = { kind: "join" as const, sessionId: `s${i}`, deviceId, initialStates: {} };
        const session = { kind: "stream" as const, quiet: i % 3 === 0, timeoutMs: 1000 };
        if (kind === "open" || (kind === "return" && last)) {
          await bench.do(channel, "ann", { ...join, session, resume: kind === "open" ? undefined : last!.id });
        } else if (kind === "lease") {
          await bench.do(channel, "ann", { ...join, session: { kind: "lease", ttlMs: 1000 }, resume: undefined });
        } else if (kind === "lose" && last) {
          await bench.do(channel, "ann", { kind: "detach", sessionId: last.id, attachment: last.attachment });
        } else if (kind === "leave" && sessions.length > 0) {
          await bench.leave(channel, "ann");
        } else if (kind === "set") {
          await bench.set(channel, "ann", { [`k${i % 3}`]: "1" });
        } else if (kind === "remove") {
          await bench.do(channel, "ann", { kind: "remove", keys: [] });
        } else if (kind === "wait") {
          bench.tick += 400;
        }
        const places = await engine.placesOf("", "ann");
        for (const here of rooms) {
          const others = places.filter((place) => place.channel.name !== here.name).map(({ member }) => member);
          assert.deepEqual((await engine.read(here, "ann")).elsewhere, {
            channels: others.filter((member) => member.sessions.length > 0).length,
            attachedChannels: others.filter(({ sessions }) => sessions.some((one) => !isDetached(one))).length,
            pendingPairs: others.reduce((sum, member) => sum + pendingPairs(member), 0),
          });
        }
      }
    },
    { runs: 100 },
  );

  it("refuses a commit that depends on other channels when a stream was lost or taken up there", async () => {
    const bench = await Bench.of(makeEngine);
    const sessionId = await bench.join(OTHER_ROOM, "ann");
    const attached = await bench.engine.read(ROOM, "ann");
    await bench.do(OTHER_ROOM, "ann", { kind: "detach", sessionId, attachment: 0 });
    const { elsewhere } = await bench.engine.read(ROOM, "ann");
    assert.deepEqual(elsewhere, { channels: 1, attachedChannels: 0, pendingPairs: 0 });
    assert.equal(await bench.commit(ROOM, attached, joining("one"), true), "conflict");
    const detached = await bench.engine.read(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    assert.equal(await bench.commit(ROOM, detached, joining("one"), true), "conflict");
  });

  it("refuses a commit that depends on other channels when the user has changed there", async () => {
    const bench = await Bench.of(makeEngine);
    const here = await bench.engine.read(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    assert.equal(await bench.commit(ROOM, here, joining("one"), true), "conflict");
    assert.notEqual(await bench.commit(ROOM, here, joining("one"), false), "conflict");

    const pending = await bench.engine.read({ type: 2, name: "room" }, "ann");
    await bench.set({ type: 2, name: "other" }, "ann", { a: "1" });
    assert.equal(await bench.commit({ type: 2, name: "room" }, pending, setting({ a: "1" }), true), "conflict");
  });

  it("refuses a commit that depends on other channels when the user has left all and come back", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(OTHER_ROOM, "ann");
    const meanwhile = await bench.engine.read(ROOM, "ann");
    await bench.leave(OTHER_ROOM, "ann");
    await bench.set(OTHER_ROOM, "ann", { a: "1" });
    assert.equal(await bench.commit(ROOM, meanwhile, joining("one"), true), "conflict");
  });

  it("keeps channels of the two types apart", async () => {
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann", { mood: "fine" });
    const other = { type: 2 as const, name: ROOM.name };
    assert.deepEqual((await bench.engine.read(other, "ann")).member, stranger("ann"));
    assert.equal((await bench.engine.summary(other)).occupancy, 0);
  });
}
