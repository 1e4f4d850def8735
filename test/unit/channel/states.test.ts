import assert from "node:assert/strict";
import type { StateDelta } from "../../../src/model/delta.js";
import { heard, leave, MemberDriver, PENDING, RULES, remove, type Step, set, stream, WALL_AT_ZERO } from "./driver.js";

const refused = (reason: string, metadata?: Record<string, string>) => ({
  name: "PresenceError",
  reason,
  ...(metadata && { metadata }),
});

function keysOf({ deltas }: Step): [changed: readonly string[], removed: readonly string[]] {
  assert.equal(deltas.length, 1);
  const { changedKeys, removedKeys } = deltas[0] as StateDelta;
  return [changedKeys, removedKeys];
}

describe("channel: states", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxStatePairs: 3, maxStateBytes: 40, maxPendingPairs: 4 } };
  });

  it("S9 merges: given keys are set, the others stay", () => {
    ann.do(stream("one", { initialStates: { mood: "fine", seat: "7" } }));
    assert.deepEqual(heard(ann.do(set({ mood: "tired", hat: "red" })).deltas), [
      { mood: "tired", seat: "7", hat: "red" },
    ]);
  });

  it("S9 replaces the whole where that is asked for", () => {
    ann.do(stream("one", { initialStates: { mood: "fine", seat: "7" } }));
    assert.deepEqual(keysOf(ann.do(set({ mood: "fine", hat: "red" }, { replace: true }))), [["hat"], ["seat"]]);
    assert.deepEqual(ann.states, { mood: "fine", hat: "red" });
  });

  it("S9 S21 refuses what would pass a limit once merged, and changes nothing", () => {
    ann.do(stream("one", { initialStates: { a: "1", b: "2", c: "3" } }));
    const before = ann.member;
    assert.throws(() => ann.do(set({ d: "4" })), refused("STATE_COUNT_OVERFLOW", { limit: "3", actual: "4" }));
    assert.throws(
      () => ann.do(set({ a: "x".repeat(36) })),
      refused("STATE_SIZE_OVERFLOW", { limit: "40", actual: "41" }),
    );
    assert.throws(() => ann.do(set({ a: "é".repeat(18) })), refused("STATE_SIZE_OVERFLOW"));
    assert.equal(ann.member, before);
    ann.do(set({ a: "x".repeat(35) }));
    ann.do(set({ d: "4", e: "5" }, { replace: true }));
  });

  it("S9 S21 refuses a join whose states would pass a limit together with those that wait", () => {
    ann.do(set({ a: "1", b: "2" }));
    assert.throws(() => ann.do(stream("one", { initialStates: { c: "3", d: "4" } })), refused("STATE_COUNT_OVERFLOW"));
    assert.equal(ann.states, undefined);
    ann.do(stream("one", { initialStates: { a: "9", c: "3" } }));
    assert.deepEqual(ann.states, { a: "9", b: "2", c: "3" });
  });

  it("S10 deletes keys, all of them where none is named, and ignores what is not there", () => {
    ann.do(stream("one", { initialStates: { a: "1", b: "2", c: "3" } }));
    assert.deepEqual(keysOf(ann.do(remove("b", "z", "a", "__proto__"))), [[], ["a", "b"]]);
    assert.deepEqual(ann.states, { c: "3" });
    assert.deepEqual(keysOf(ann.do(remove())), [[], ["c"]]);
    assert.deepEqual(ann.states, {});
    assert.ok(ann.member.presence);
  });

  it("S11 announces every successful change once, with the whole state, even where nothing is different", () => {
    ann.do(stream("one"));
    const change = ann.do(set({ b: "2", a: "1" }));
    assert.deepEqual(keysOf(change), [["a", "b"], []]);
    assert.deepEqual(keysOf(ann.do(set({ a: "1" }))), [[], []]);
    assert.deepEqual(keysOf(ann.do(set({}))), [[], []]);
    assert.deepEqual(keysOf(ann.do(remove("z"))), [[], []]);
    assert.deepEqual(ann.head, { revision: 5, occupancy: 1 });
  });

  it("S11 does not take what every object has for a key of the state", () => {
    ann.do(stream("one"));
    assert.deepEqual(keysOf(ann.do(set({ toString: "1", constructor: "2" }))), [["constructor", "toString"], []]);
    assert.deepEqual(keysOf(ann.do(remove("valueOf"))), [[], []]);
    assert.deepEqual(keysOf(ann.do(remove("toString"))), [[], ["toString"]]);
  });

  it("S12 keeps a state for the join, seen by nobody, and announces it right behind the join", () => {
    const written = ann.do(set({ mood: "fine" }));
    assert.deepEqual(written.deltas, []);
    assert.equal(ann.states, undefined);
    ann.do(set({ seat: "7" }));
    ann.do(remove("mood"));
    const { deltas } = ann.do(stream("one", { initialStates: { hat: "red" } }));
    assert.deepEqual(heard(deltas), ["join", { seat: "7", hat: "red" }]);
    assert.deepEqual(
      deltas.map(({ revision }) => revision),
      [1, 2],
    );
    assert.equal(ann.member.pending, undefined);
  });

  it("S12 forgets a state that waits 300 s after its last write", () => {
    ann.do(set({ mood: "fine" }));
    ann.tick += 299_999;
    ann.do(set({ seat: "7" }));
    ann.pass(299_999);
    assert.deepEqual(ann.member.pending?.states, { mood: "fine", seat: "7" });
    const { outcome, deltas } = ann.pass(1);
    assert.deepEqual(deltas, []);
    assert.equal(outcome.unchanged, false);
    assert.equal(ann.member.pending, undefined);
  });

  it("S12 joins without what was due to be forgotten", () => {
    ann.do(set({ mood: "fine" }));
    ann.tick += 300_000;
    assert.deepEqual(heard(ann.do(stream("one")).deltas), ["join"]);
  });

  it("S12 makes what a quiet session sets wait for a session that is seen", () => {
    ann.do(stream("monitor", { quiet: true, initialStates: { hat: "red" } }));
    ann.do(set({ mood: "fine" }));
    assert.equal(ann.states, undefined);
    assert.deepEqual(heard(ann.do(stream("one")).deltas), ["join", { hat: "red", mood: "fine" }]);
  });

  it("S12 limits what waits over all channels, but never refuses to make it less", () => {
    ann.elsewhere = { channels: 0, attachedChannels: 0, pendingPairs: 2 };
    ann.do(set({ a: "1", b: "2" }));
    assert.throws(() => ann.do(set({ c: "3" })), refused("CACHED_TOO_MANY_STATES", { limit: "4", actual: "5" }));
    ann.elsewhere = { channels: 0, attachedChannels: 0, pendingPairs: 4 };
    ann.do(set({ a: "9" }));
    ann.do(remove("a"));
    assert.deepEqual(ann.member.pending?.states, { b: "2" });
    ann.do(remove());
    assert.equal(ann.member.pending, undefined);
  });

  it("S4 says nothing of a return with the states that the user has, and announces those it has not", () => {
    ann.do(stream("one", { initialStates: { mood: "fine", seat: "7" } }));
    assert.deepEqual(heard(ann.do(stream("two", { initialStates: { mood: "fine" } })).deltas), []);
    assert.deepEqual(heard(ann.do(stream("three", { initialStates: { mood: "tired" } })).deltas), [
      { mood: "tired", seat: "7" },
    ]);
  });

  it("S14 sets only where the revision is the expected one, and brings the state as it is", () => {
    ann.do(stream("one"));
    ann.do(set({ a: "1" }, { expectedRevision: 0 }));
    assert.equal(ann.member.presence?.state.revision, 2);
    assert.throws(() => ann.do(set({ a: "2" }, { expectedRevision: 1 })), {
      ...refused("STATE_REVISION_MISMATCH", { expected: "1", actual: "2" }),
      currentState: ann.member.presence?.state,
    });
    ann.do(set({ a: "2" }, { expectedRevision: 2 }));
    ann.do(remove());
    assert.throws(() => ann.do(set({ a: "2" }, { expectedRevision: 0 })), refused("STATE_REVISION_MISMATCH"));
  });

  it("S14 compares with the pending state where the user is not present, and brings it", () => {
    const set0 = () => ann.do(set({ a: "1" }, { expectedRevision: 0 }));
    set0();
    const revision = PENDING + 1;
    assert.throws(set0, {
      ...refused("STATE_REVISION_MISMATCH", { expected: "0", actual: `${revision}` }),
      currentState: { userId: "ann", states: { a: "1" }, revision, updateTime: undefined, joinTime: undefined },
    });
    ann.do(set({ a: "2" }, { expectedRevision: revision }));
    assert.throws(() => ann.do(set({ a: "3" }, { expectedRevision: revision })), refused("STATE_REVISION_MISMATCH"));
    ann.do(remove("b"));
    assert.equal(ann.member.pending?.revision, PENDING + 3);
    ann.do(remove());
    set0();
  });

  it("S14 ends the revision of a pending state with the join, and with its deadline", () => {
    ann.do(set({ a: "1" }));
    ann.tick += RULES.pendingTtlMs;
    const set1 = () => ann.do(set({ a: "2" }, { expectedRevision: PENDING + 1 }));
    assert.throws(set1, refused("STATE_REVISION_MISMATCH", { expected: `${PENDING + 1}`, actual: "0" }));
    ann.do(set({ a: "1" }, { expectedRevision: 0 }));
    ann.do(stream("one"));
    assert.equal(ann.member.presence?.state.revision, 2);
    const set2 = () => ann.do(set({ a: "2" }, { expectedRevision: PENDING + 2 }));
    assert.throws(set2, refused("STATE_REVISION_MISMATCH", { expected: `${PENDING + 2}`, actual: "2" }));
  });

  it("S14 gives what a quiet session adds to a pending state a revision, and a return without news none", () => {
    ann.do(stream("one", { quiet: true, initialStates: { a: "1" } }));
    assert.equal(ann.member.pending?.revision, PENDING + 1);
    ann.do(stream("two", { quiet: true, initialStates: { a: "1" } }));
    assert.equal(ann.member.pending?.revision, PENDING + 1);
    ann.do(stream("three", { quiet: true, initialStates: { b: "1" } }));
    assert.equal(ann.member.pending?.revision, PENDING + 2);
  });

  it("S14 does not compare with the state of a presence that has run out", () => {
    ann.do(stream("one", { timeoutMs: 1000, initialStates: { a: "1" } }));
    ann.do({ kind: "detach", sessionId: "one", attachment: 0 });
    ann.tick += 1000;
    assert.throws(
      () => ann.do(set({ a: "2" }, { expectedRevision: 2 })),
      (error: { currentState?: unknown }) => {
        assert.deepEqual(error.currentState, {
          userId: "ann",
          states: {},
          revision: 0,
          updateTime: undefined,
          joinTime: undefined,
        });
        return true;
      },
    );
    assert.deepEqual(heard(ann.do(set({ a: "2" }, { expectedRevision: 0 })).deltas), ["timeout"]);
    assert.deepEqual(ann.member.pending?.states, { a: "2" });
  });

  it("keeps the times of joining and changing apart", () => {
    ann.tick = 5;
    ann.do(stream("one"));
    assert.deepEqual(ann.member.presence?.state, {
      userId: "ann",
      states: {},
      revision: 0,
      updateTime: undefined,
      joinTime: WALL_AT_ZERO + 5,
    });
    ann.tick = 9;
    const { deltas } = ann.do(set({ a: "1" }));
    const state = {
      userId: "ann",
      states: { a: "1" },
      revision: 2,
      updateTime: WALL_AT_ZERO + 9,
      joinTime: WALL_AT_ZERO + 5,
    };
    assert.deepEqual(ann.member.presence, { state, joinRevision: 1 });
    assert.deepEqual(deltas, [
      {
        kind: "state",
        userId: "ann",
        revision: 2,
        time: WALL_AT_ZERO + 9,
        occupancy: 1,
        state,
        changedKeys: ["a"],
        removedKeys: [],
      },
    ]);
    ann.do(leave());
    assert.equal(ann.member.presence, undefined);
  });
});
