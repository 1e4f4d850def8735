import assert from "node:assert/strict";
import { Turnstile } from "../../../src/rpc/turnstile.js";

describe("rpc: letting in so many a turn", () => {
  let turns: (() => void)[];
  let inside: number[];
  let turnstile: Turnstile<number>;
  beforeEach(() => {
    turns = [];
    inside = [];
    turnstile = new Turnstile(
      3,
      (one) => inside.push(one),
      (turn) => turns.push(turn),
    );
  });

  const turn = () => {
    const due = turns.splice(0);
    assert.equal(due.length, 1, "one turn at a time");
    due[0]!();
  };

  it("lets one in at once where nobody is before it", () => {
    turnstile.add(1);
    assert.deepEqual(inside, [1]);
    turn();
    assert.deepEqual(turns, []);
    turnstile.add(2);
    assert.deepEqual(inside, [1, 2]);
  });

  it("lets a crowd in by and by, in the order of coming, and those who come meanwhile behind them", () => {
    for (let i = 1; i <= 8; i++) turnstile.add(i);
    assert.deepEqual(inside, [1]);
    turn();
    assert.deepEqual(inside, [1, 2, 3, 4]);
    turnstile.add(9);
    turn();
    assert.deepEqual(inside, [1, 2, 3, 4, 5, 6, 7]);
    turn();
    assert.deepEqual(inside, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    turn();
    assert.deepEqual(turns, []);
  });

  it("forgets who still waits, and says who that is", () => {
    for (let i = 1; i <= 4; i++) turnstile.add(i);
    assert.deepEqual(turnstile.clear(), [2, 3, 4]);
    turn();
    assert.deepEqual(inside, [1]);
    turnstile.add(5);
    assert.deepEqual(inside, [1, 5]);
  });
});
