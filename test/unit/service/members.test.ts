import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { Command } from "../../../src/channel/command.js";
import type { EndedSession } from "../../../src/channel/outcome.js";
import type { Commit, Committed, Engine } from "../../../src/engine/engine.js";
import { MemoryEngine } from "../../../src/engine/memory.js";
import { DEFAULT_LIMITS } from "../../../src/model/limits.js";
import { Admission } from "../../../src/service/admission.js";
import { Members, type Result } from "../../../src/service/members.js";
import { type Deferred, deferred } from "../../support/deferred.js";
import { ManualClock } from "../../support/manual_clock.js";
import { smallRevisions } from "../../support/revisions.js";
import { detach, lease, leave, remove, set, stream } from "../channel/driver.js";
import { NO_QUOTAS } from "./world.js";

const ROOM = { type: 1 as const, name: "room" };

describe("service: carrying commands out", () => {
  let clock: ManualClock;
  let engine: MemoryEngine;
  let commits: Commit[];
  let ended: EndedSession[];
  let errors: unknown[];
  /** What becomes of the next commits, where the test has a say in it. */
  let fates: ((commit: Commit) => Committed | "conflict" | Promise<Committed | "conflict">)[];
  let members: Members;

  beforeEach(() => {
    clock = new ManualClock();
    const log = { maxEvents: 100, maxBytes: 1e6 };
    engine = new MemoryEngine({ clock, newEpoch: () => "epoch", newRevision: smallRevisions, resumeTtlMs: 1000, log });
    [commits, ended, errors, fates] = [[], [], [], []];
    const memory = engine;
    const watched = Object.create(memory, {
      commit: {
        value: (commit: Commit) => {
          commits.push(commit);
          return (fates.shift() ?? ((commit) => memory.commit(commit)))(commit);
        },
      },
      read: { value: memory.read.bind(memory) },
      summary: { value: memory.summary.bind(memory) },
    }) as Engine;
    members = new Members({
      engine: watched,
      clock,
      rulesOf: () => ({ limits: DEFAULT_LIMITS, sameUser: "multi", pendingTtlMs: 300_000, leaveDebounceMs: 0 }),
      admission: new Admission({ engine: watched, quotas: NO_QUOTAS, isMemoryShort: () => false }),
      onEnded: (session) => ended.push(session),
      onError: (error) => errors.push(error),
    });
  });

  const run = (command: Command, userId = "ann"): Promise<Result> => members.run(ROOM, userId, command);

  it("tries again when somebody else was faster", async () => {
    fates.push(
      () => "conflict",
      () => "conflict",
    );
    const { position } = await run(stream("one"));
    assert.equal(position.revision, 1);
    assert.equal(commits.length, 3);
  });

  it("builds on what the other one wrote", async () => {
    await run(stream("one"));
    fates.push((commit) => {
      const read = engine.read(ROOM, "ann");
      const outcome = { ...commit.outcome, changes: [], sessions: [], unchanged: false };
      engine.commit({ ...commit, read, outcome: { ...outcome, changes: [{ kind: "leave" }] } });
      return "conflict";
    });
    const { member, outcome } = await run(set({ mood: "fine" }));
    assert.equal(member.presence, undefined);
    assert.deepEqual(outcome.pending?.states, { mood: "fine" });
  });

  it("gives up at last, and says that a retry may help", async () => {
    fates.push(...Array.from({ length: 100 }, () => () => "conflict" as const));
    await assert.rejects(run(stream("one")), { reason: "PRESENCE_OUT_OF_SERVICE", retryAfterMs: 100 });
    assert.ok(commits.length > 10 && commits.length < 100);
  });

  it("stores nothing when nothing is different", async () => {
    await run(stream("one"));
    const { position, occupancy } = await run(detach("other"));
    assert.deepEqual([position.revision, occupancy], [1, 1]);
    assert.equal(commits.length, 1);
  });

  it("says which commits depend on what the user has elsewhere", async () => {
    const commands = [
      set({ a: "1" }),
      remove("a"),
      stream("one"),
      stream("two"),
      set({ a: "1" }),
      detach("one"),
      detach("two"),
      stream("three"),
      leave(),
    ];
    for (const command of commands) await run(command);
    assert.deepEqual(
      commits.map(({ dependsOnElsewhere }) => dependsOnElsewhere),
      [true, true, true, false, false, false, false, true, false],
    );
  });

  it("tells of ended sessions, and of the commit, before anybody can build on it", async () => {
    await run(stream("one"));
    const order: string[] = [];
    const first = members.run(ROOM, "ann", stream("new", { resume: "one" }), () => {
      order.push(`ended ${ended.length}, stream added`);
    });
    const second = members.run(ROOM, "ann", leave(), () => order.push("left"));
    await Promise.all([first, second]);
    assert.deepEqual(order, ["ended 1, stream added", "left"]);
    assert.deepEqual(
      ended.map(({ attachment, why }) => [attachment, why]),
      [
        [0, "replaced"],
        [1, "left"],
      ],
    );
  });

  /** Makes the engine far away: the next commit takes place at once, and its answer comes when the test says so. */
  function holdNextAnswer(): Deferred<void> {
    const answer = deferred();
    fates.push(async (commit) => {
      const committed = engine.commit(commit);
      await answer.promise;
      return committed;
    });
    return answer;
  }

  it("carries out one command of a member at a time, in order, and does not hold up other members", async () => {
    const answer = holdNextAnswer();
    const done: string[] = [];
    const all = [
      run(stream("one")).then(() => done.push("join")),
      run(detach("one")).then(() => done.push("detach")),
      run(set({ a: "1" })).then(() => done.push("set")),
      run(stream("one"), "bob").then(() => done.push("bob")),
    ];
    await turn();
    assert.deepEqual(done, ["bob"]);
    answer.resolve();
    await Promise.all(all);
    assert.deepEqual(done, ["bob", "join", "detach", "set"]);
  });

  it("goes on with the next command when one was refused or failed", async () => {
    const answer = holdNextAnswer();
    const failing = run(stream("one"));
    const next = run(leave("unknown"));
    const last = run(set({ a: "1" }));
    answer.reject(new Error("connection lost"));
    await assert.rejects(failing, /connection lost/);
    await assert.rejects(next, { reason: "SESSION_NOT_FOUND" });
    assert.equal((await last).position.revision, 2);
  });

  it("S3 misses no deadline where answers overtake each other", async () => {
    await run(stream("one", { timeoutMs: 1000 }));
    await run(detach("one"));
    const returning = holdNextAnswer();
    const back = run(stream("new", { resume: "one", timeoutMs: 1000 }));
    const lost = run(detach("one", 1));
    await turn();
    returning.resolve();
    await Promise.all([back, lost]);
    clock.advance(1000);
    await turn();
    assert.equal(engine.read(ROOM, "ann").member.presence, undefined);
  });

  it("S3 S17 carries out a deadline that failed a second later", async () => {
    await run(lease("one", 5000));
    fates.push(() => Promise.reject(new Error("connection lost")));
    clock.advance(5000);
    await turn();
    assert.equal(errors.length, 1);
    assert.ok(engine.read(ROOM, "ann").member.presence);
    clock.advance(1000);
    await turn();
    assert.equal(engine.read(ROOM, "ann").member.presence, undefined);
    assert.equal(errors.length, 1);
  });

  it("S3 carries out the deadlines of users with any name, in channels with any name", async () => {
    for (const [name, userId] of [
      ["a:b", "1:c"],
      ["1:x", "__proto__"],
      [" ", "é"],
    ] as const) {
      for (const type of [1, 2] as const) {
        await members.run({ type, name }, userId, lease("one", 5000));
        clock.advance(5000);
        await turn();
        assert.equal(engine.read({ type, name }, userId).member.presence, undefined, `${name} ${userId}`);
      }
    }
  });

  it("S17 looks at a deadline that was put off when it would have come, and not at each renewal", async () => {
    const presence = () => engine.read(ROOM, "ann").member.presence;
    await run(lease("one", 5000));
    for (const ttlMs of [undefined, undefined, 7000]) {
      clock.advance(2000);
      await run({ kind: "renew", sessionId: "one", ttlMs });
    }
    assert.equal(clock.pending, 1);
    clock.advance(6999);
    await turn();
    assert.ok(presence());
    clock.advance(1);
    await turn();
    assert.equal(presence(), undefined);
    assert.equal(commits.length, 5);
  });

  it("S17 does not miss a deadline that was put off and then brought forward", async () => {
    await run(lease("one", 5000));
    await run({ kind: "renew", sessionId: "one", ttlMs: 60_000 });
    clock.advance(5000);
    await turn();
    await run({ kind: "renew", sessionId: "one", ttlMs: 1000 });
    clock.advance(1000);
    await turn();
    assert.equal(engine.read(ROOM, "ann").member.presence, undefined);
  });

  it("S17 goes on watching a user of whose leases one has run out", async () => {
    await run(lease("one", 5000));
    await run(lease("two", 9000));
    clock.advance(5000);
    await turn();
    assert.equal(engine.read(ROOM, "ann").member.sessions.length, 1);
    clock.advance(4000);
    await turn();
    assert.equal(engine.read(ROOM, "ann").member.presence, undefined);
  });

  it("carries a command out at once where the engine answers at once", () => {
    const result = members.start(ROOM, "ann", lease("one", 5000));
    assert.ok(!(result instanceof Promise));
    assert.equal(result.position.revision, 1);
    assert.throws(() => members.start(ROOM, "ann", leave("other")), { reason: "SESSION_NOT_FOUND" });
    assert.ok(!(members.start(ROOM, "ann", leave()) instanceof Promise));
  });

  it("lets a command wait that is asked for in the midst of the same member's, and no other member's", async () => {
    const order: string[] = [];
    let inner: Promise<unknown> | undefined;
    members.start(ROOM, "ann", lease("one", 5000), () => {
      const leaving = members.start(ROOM, "ann", leave(), () => order.push("ann left"));
      const joining = members.start(ROOM, "bob", lease("two", 5000), () => order.push("bob joined"));
      assert.ok(!(joining instanceof Promise));
      inner = Promise.resolve(leaving);
      order.push("ann joined");
    });
    await inner;
    assert.deepEqual(order, ["bob joined", "ann joined", "ann left"]);
  });

  it("S23 keeps no deadline of what is over", async () => {
    await run(lease("one", 5000));
    await run(leave());
    clock.advance(5000);
    await turn();
    assert.equal(commits.length, 2);
    assert.equal(clock.pending, 0);
  });
});
