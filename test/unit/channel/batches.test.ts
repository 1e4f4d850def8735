import assert from "node:assert/strict";
import type { Command, Join, SetStates } from "../../../src/channel/command.js";
import type { StateDelta } from "../../../src/model/delta.js";
import { PresenceError } from "../../../src/model/errors.js";
import { heard, lease, MemberDriver, PENDING, RULES, type Step, set, stream } from "./driver.js";

function batch(...entries: readonly Command[]): Command {
  return { kind: "batch", entries: entries as readonly (SetStates | Join)[] };
}

/** `done`, `overtaken`, or the reason of the refusal. */
function entriesOf({ outcome }: Step): string[] {
  return outcome.entries.map((entry) => {
    if (entry === "done") return entry;
    return entry instanceof PresenceError ? entry.reason : `overtaken ${entry.expectedRevision}`;
  });
}

describe("channel: batches", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxStatePairs: 3, maxPendingPairs: 4, maxSessionsPerUser: 2 } };
  });

  it("are one change with the net keys, each entry on the state that the ones before it left", () => {
    ann.do(stream("one", { initialStates: { a: "1", b: "2" } }));
    const step = ann.do(
      batch(set({ a: "9", c: "3" }), set({ a: "1", c: "4" }), set({ c: "5", d: "6" }, { replace: true })),
    );
    assert.deepEqual(entriesOf(step), ["done", "done", "done"]);
    assert.equal(step.deltas.length, 1);
    const { state, changedKeys, removedKeys, revision } = step.deltas[0] as StateDelta;
    assert.deepEqual([state.states, changedKeys, removedKeys], [{ c: "5", d: "6" }, ["c", "d"], ["a", "b"]]);
    assert.deepEqual([revision, state.revision, ann.head.revision], [3, 3, 3]);
  });

  it("are one event without keys where all is as it was", () => {
    ann.do(stream("one", { initialStates: { a: "1" } }));
    const { deltas } = ann.do(batch(set({ a: "2" }), set({ a: "1" })));
    const { changedKeys, removedKeys } = deltas[0] as StateDelta;
    assert.deepEqual([deltas.length, changedKeys, removedKeys], [1, [], []]);
  });

  it("refuse an entry by the state that it meets, without a trace of it", () => {
    ann.do(stream("one", { initialStates: { a: "1", b: "2" } }));
    const step = ann.do(
      batch(set({ c: "3" }), set({ a: "9", d: "4" }), set({ d: "4" }, { replace: true }), set({ e: "5" })),
    );
    assert.deepEqual(entriesOf(step), ["done", "STATE_COUNT_OVERFLOW", "done", "done"]);
    assert.deepEqual(heard(step.deltas), [{ d: "4", e: "5" }]);
  });

  it("let no entry expect a revision behind one that was carried out", () => {
    ann.do(stream("one", { initialStates: { a: "1" } }));
    const expecting = (expectedRevision: number) => set({ a: `${expectedRevision}` }, { expectedRevision });
    assert.deepEqual(entriesOf(ann.do(batch(expecting(7), expecting(2), expecting(2), expecting(3)))), [
      "STATE_REVISION_MISMATCH",
      "done",
      "overtaken 2",
      "overtaken 3",
    ]);
    assert.deepEqual(ann.states, { a: "2" });
  });

  it("are one write of a state that waits for its join, with one revision", () => {
    const step = ann.do(
      batch(set({ a: "1" }, { expectedRevision: 0 }), set({ b: "2" }), set({ c: "3" }, { expectedRevision: 0 })),
    );
    assert.deepEqual([entriesOf(step), step.deltas.length], [["done", "done", "overtaken 0"], 0]);
    const states = { a: "1", b: "2" };
    assert.deepEqual(ann.member.pending, { states, deadline: 300_000, revision: PENDING + 1 });
    ann.elsewhere = { channels: 0, attachedChannels: 0, pendingPairs: 2 };
    assert.deepEqual(entriesOf(ann.do(batch(set({ c: "3" }), set({ a: "4" })))), ["CACHED_TOO_MANY_STATES", "done"]);
    assert.deepEqual(ann.member.pending?.states, { a: "4", b: "2" });
  });

  it("change nothing where all entries are refused, not even what has run out", () => {
    ann.do(lease("one", 1000));
    ann.tick = 1000;
    const before = ann.member;
    const { outcome } = ann.do(
      batch(set({ a: "1" }, { expectedRevision: 5 }), set({ a: "1" }, { expectedRevision: 6 })),
    );
    assert.equal(outcome.unchanged, true);
    assert.deepEqual(ann.member, before);
  });

  it("join once, with the states of all joins that are not one too many", () => {
    const step = ann.do(
      batch(lease("one", 1000, { a: "1" }), lease("two", 1000, { a: "2" }), lease("three", 1000, { b: "3" })),
    );
    assert.deepEqual(entriesOf(step), ["done", "done", "TOO_MANY_SESSIONS"]);
    assert.deepEqual(heard(step.deltas), ["join", { a: "2" }]);
    assert.deepEqual(ann.sessions, ["one", "two"]);
  });
});
