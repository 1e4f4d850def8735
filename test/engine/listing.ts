import assert from "node:assert/strict";
import fc from "fast-check";
import { type MemberPage, SLICE_USERS } from "../../src/engine/engine.js";
import type { States } from "../../src/model/user_state.js";
import { property } from "../support/property.js";
import { Bench, joining, type MakeEngine, OTHER_ROOM, ROOM } from "./fixture.js";

const idsOf = (users: readonly { readonly userId: string }[]): string[] => users.map(({ userId }) => userId);

/** Who is present: summary, snapshot and pages. */
export function listingTests(makeEngine: MakeEngine): void {
  it("knows a channel in which nothing ever happened as empty, at revision 0", async () => {
    const { engine } = await Bench.of(makeEngine);
    const { position, occupancy } = await engine.summary(ROOM);
    assert.deepEqual([position.revision, occupancy], [0, 0]);
    assert.deepEqual((await engine.snapshot(ROOM)).users, []);
    assert.deepEqual((await engine.page(ROOM, 0, 10, {})).members, []);
    assert.equal(engine.stats().channels, 0);
  });

  it("lists who is present in the order of joining, with states and position", async () => {
    const bench = await Bench.of(makeEngine);
    for (const userId of ["cid", "ann", "bob"]) await bench.join(ROOM, userId);
    await bench.set(ROOM, "ann", { mood: "fine" });
    await bench.set(ROOM, "stranger", { mood: "pending" });
    await bench.join(OTHER_ROOM, "dan");
    await bench.leave(ROOM, "cid");
    await bench.join(ROOM, "cid");
    const { users, position, occupancy } = await bench.engine.snapshot(ROOM);
    assert.deepEqual(
      users.map(({ userId, states }) => [userId, states]),
      [
        ["ann", { mood: "fine" }],
        ["bob", {}],
        ["cid", {}],
      ],
    );
    assert.deepEqual([bench.countOf(position), occupancy], [6, 3]);
    assert.deepEqual(await bench.engine.summary(ROOM), { position, occupancy });
  });

  it("lists a user last who was lost and joined again in one commit", async () => {
    const bench = await Bench.of(makeEngine);
    const sessionId = await bench.join(ROOM, "ann");
    await bench.join(ROOM, "bob");
    await bench.do(ROOM, "ann", { kind: "detach", sessionId, attachment: 0 });
    bench.tick = 30_000;
    const { deltas } = await bench.do(ROOM, "ann", joining("anew"));
    assert.deepEqual(
      deltas.map(({ kind }) => kind),
      ["timeout", "join"],
    );
    const { users } = await bench.engine.snapshot(ROOM);
    const { members } = await bench.engine.page(ROOM, (await bench.positionAt(ROOM, 2)).revision, 10, {});
    assert.deepEqual([idsOf(users), idsOf(members)], [["bob", "ann"], ["ann"]]);
  });

  it("does not show a quiet session", async () => {
    const bench = await Bench.of(makeEngine);
    const session = { kind: "stream" as const, quiet: true, timeoutMs: 1000 };
    const quiet = {
      kind: "join" as const,
      sessionId: "q",
      session,
      resume: undefined,
      deviceId: "",
      initialStates: {},
    };
    await bench.do(ROOM, "ann", quiet);
    assert.deepEqual((await bench.engine.snapshot(ROOM)).users, []);
    assert.equal((await bench.engine.summary(ROOM)).occupancy, 0);
    assert.equal(bench.engine.stats().present, 0);
    assert.equal(bench.engine.stats().sessions, 1);
  });

  it("S19 pages end where nobody is left", async () => {
    const bench = await Bench.of(makeEngine);
    for (const userId of ["ann", "bob", "cid", "dan"]) await bench.join(ROOM, userId);
    const first = await bench.engine.page(ROOM, 0, 2, {});
    assert.deepEqual(idsOf(first.members), ["ann", "bob"]);
    assert.equal(first.occupancy, 4);
    assert.ok(first.next !== undefined);
    const second = await bench.engine.page(ROOM, first.next, 2, {});
    assert.deepEqual(idsOf(second.members), ["cid", "dan"]);
    assert.equal(second.next, undefined);
  });

  const users = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const change = fc.record({ userId: fc.constantFrom(...users), kind: fc.constantFrom("join", "leave", "set") });
  const rounds = fc.array(fc.array(change, { maxLength: 4 }), { minLength: 12, maxLength: 12 });

  property(
    "S19 pages neither repeat nor skip a user that stays, whatever happens in between",
    [fc.subarray(users), fc.integer({ min: 1, max: 4 }), rounds, fc.constantFrom<States>({}, { here: "yes" })],
    async (present, limit, rounds, states) => {
      const bench = await Bench.of(makeEngine);
      // With a filter, half of those who are there do not pass it, and whoever passes it goes on to.
      const passes = (userId: string) => Object.keys(states).length === 0 || userId < "e";
      const join = (userId: string) => bench.join(ROOM, userId, { here: userId < "e" ? "yes" : "no" });
      for (const userId of present) await join(userId);
      const stayed = new Set(present);
      const now = new Set(present);
      const listed: string[] = [];
      let next: number | undefined = 0;
      for (const changes of rounds) {
        const page = await bench.engine.page(ROOM, next, limit, states);
        assert.ok(page.members.length <= limit);
        listed.push(...idsOf(page.members));
        next = page.next;
        if (next === undefined) break;
        for (const { userId, kind } of changes) {
          if (kind === "set" && now.has(userId)) await bench.set(ROOM, userId, { x: String(listed.length) });
          if (kind === "join" && !now.has(userId)) {
            await join(userId);
            now.add(userId);
          }
          if (kind === "leave" && now.delete(userId)) {
            await bench.leave(ROOM, userId);
            stayed.delete(userId);
          }
        }
      }
      assert.deepEqual(
        listed.filter((userId) => !passes(userId)),
        [],
      );
      if (next !== undefined) return;
      for (const userId of stayed) {
        assert.equal(listed.filter((id) => id === userId).length, Number(passes(userId)), `${userId} in ${listed}`);
      }
    },
  );

  it("S19 counts those whose state holds all of the pairs, and knows an unknown channel as empty", async () => {
    const { engine } = await Bench.of(makeEngine);
    const nothing = { position: { epoch: "", revision: 0 }, occupancy: 0, examined: 0, next: undefined };
    assert.deepEqual(await engine.count(ROOM, 0, { a: "1" }), { count: 0, ...nothing });
    const bench = await Bench.of(makeEngine);
    await bench.join(ROOM, "ann", { a: "1", b: "2" });
    await bench.join(ROOM, "bob", { a: "1" });
    await bench.join(ROOM, "cid", { a: "" });
    await bench.join(ROOM, "dan");
    const count = async (states: Record<string, string>) => (await bench.engine.count(ROOM, 0, states)).count;
    assert.deepEqual(
      [await count({ a: "1" }), await count({ a: "1", b: "2" }), await count({ a: "" }), await count({ toString: "" })],
      [2, 1, 1, 0],
    );
    assert.equal(await count({}), 4);
  });

  it("examines no more users in one call than a slice holds, and says where to go on", async () => {
    const bench = await Bench.of(makeEngine);
    const total = 2 * SLICE_USERS + 1;
    for (let i = 0; i < total; i++) await bench.join(ROOM, `u${i}`, { rare: String(i % SLICE_USERS === 7) });
    const { engine } = bench;
    const seen: unknown[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: MemberPage = await engine.page(ROOM, after, 10, { rare: "true" });
      const { count, next, examined } = await engine.count(ROOM, after, { rare: "true" });
      assert.deepEqual([count, next, examined], [page.members.length, page.next, page.examined]);
      seen.push([page.examined, idsOf(page.members), page.occupancy]);
      after = page.next;
    }
    assert.deepEqual(seen, [
      [SLICE_USERS, ["u7"], total],
      [SLICE_USERS, [`u${SLICE_USERS + 7}`], total],
      [1, [], total],
    ]);
    const full = await engine.page(ROOM, 0, 2, {});
    assert.deepEqual([full.examined, full.members.length], [2, 2]);
  });
}
