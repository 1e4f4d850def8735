import assert from "node:assert/strict";
import { committed } from "../../guarantees/committed.js";
import type { Change } from "../../guarantees/truth.js";
import { change, places, STORY } from "./samples.js";

function check(...changes: Change[]): number[] {
  return places(committed({ changes }));
}

describe("guarantees: committed", () => {
  it("accepts a history that grows by one, each epoch above those before it, and a truth without changes", () => {
    const again = { ...change(1, "join", "mina"), position: { epoch: "e2", revision: 9n } };
    assert.deepEqual(committed(STORY), []);
    const leave = { ...change(1, "leave", "mina"), position: { epoch: "e2", revision: 10n } };
    assert.deepEqual(check(change(5, "join", "mina"), change(6, "timeout", "mina"), again, leave), []);
    assert.deepEqual(committed({}), []);
  });

  it("names a revision that is skipped, repeated, or not above those of earlier epochs", () => {
    const join = change(1, "join", "mina");
    assert.deepEqual(check(join, change(3, "leave", "mina")), [1]);
    assert.deepEqual(check(join, change(1, "leave", "mina")), [1]);
    const again = (revision: bigint) => ({ ...join, position: { epoch: "e2", revision } });
    assert.deepEqual(check(join, again(1n)), [1]);
    assert.deepEqual(check(join, again(2n)), []);
    assert.deepEqual(check(change(0, "join", "mina")), [0]);
  });

  it("names a change that cannot follow", () => {
    const join = change(1, "join", "mina");
    assert.deepEqual(check(join, change(2, "join", "mina")), [1]);
    assert.deepEqual(check(change(1, "state", "mina")), [0]);
    assert.deepEqual(check(join, change(2, "leave", "mina"), change(3, "timeout", "mina")), [2]);
    assert.deepEqual(check(join, change(2, "timeout", "mina"), change(3, "state", "mina")), [2]);
  });
});
