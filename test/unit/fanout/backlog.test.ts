import assert from "node:assert/strict";
import { Backlog } from "../../../src/fanout/backlog.js";
import type { Delta } from "../../../src/model/delta.js";
import { DeltaMaker } from "./deltas.js";

/** What is told of a course of kinds of one user, whom the reader knows or does not. */
function collapsed(known: boolean, ...kinds: Delta["kind"][]): string[] {
  const channel = new DeltaMaker();
  if (known) channel.make("join", "ann");
  const backlog = new Backlog();
  for (const kind of kinds) backlog.add(channel.make(kind, "ann", { at: String(channel.revision) })!, 10);
  return backlog.drain().map((delta) => `${delta.kind} ${delta.revision}`);
}

describe("fanout: the backlog of a slow reader (S16a)", () => {
  it("tells of a user that the reader knows: gone, gone and back, or changed", () => {
    assert.deepEqual(collapsed(true, "state", "state"), ["state 3"]);
    assert.deepEqual(collapsed(true, "state", "leave"), ["leave 3"]);
    assert.deepEqual(collapsed(true, "leave", "join", "timeout"), ["timeout 4"]);
    assert.deepEqual(collapsed(true, "leave", "join"), ["leave 2", "join 3"]);
    assert.deepEqual(collapsed(true, "leave", "join", "state", "leave", "join", "state"), [
      "leave 5",
      "join 6",
      "state 7",
    ]);
  });

  it("tells of a user that the reader does not know: come, or nothing", () => {
    assert.deepEqual(collapsed(false, "join", "state", "state"), ["join 1", "state 3"]);
    assert.deepEqual(collapsed(false, "join", "state", "leave"), []);
    assert.deepEqual(collapsed(false, "join", "leave", "join"), ["join 3"]);
  });

  it("ends at the revision and the occupancy that it brings the reader to", () => {
    const channel = new DeltaMaker();
    channel.make("join", "bob");
    const backlog = new Backlog();
    for (const [kind, userId] of [
      ["join", "ann"],
      ["leave", "bob"],
      ["leave", "ann"],
    ] as const) {
      backlog.add(channel.make(kind, userId)!, 10);
    }
    const told = backlog.drain();
    assert.deepEqual(
      told.map(({ kind, userId, revision, occupancy }) => ({ kind, userId, revision, occupancy })),
      [{ kind: "leave", userId: "bob", revision: 4, occupancy: 0 }],
    );
  });

  it("counts about the bytes that telling it would take", () => {
    const channel = new DeltaMaker();
    const backlog = new Backlog();
    backlog.add(channel.make("join", "ann")!, 50);
    backlog.add(channel.make("state", "ann", { a: "1" })!, 100);
    backlog.add(channel.make("state", "ann", { a: "1" })!, 70);
    // The second change replaces the first, but has to name the key that the first one set.
    assert.equal(backlog.bytes, 50 + 70 + "a".length + 2);
    backlog.add(channel.make("leave", "ann")!, 30);
    assert.equal(backlog.bytes, 0);
    assert.equal(backlog.size, 0);
  });
});
