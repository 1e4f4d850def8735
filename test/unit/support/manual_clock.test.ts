import assert from "node:assert/strict";
import { ManualClock } from "../../support/manual_clock.js";

describe("support: ManualClock", () => {
  /** A clock at wall 1000, tick 0, and a log of who fired at which tick. */
  function setUp() {
    const clock = new ManualClock({ wall: 1000 });
    const log: string[] = [];
    const note = (name: string) => () => void log.push(`${name}@${clock.now().tick}`);
    return { clock, log, note };
  }

  it("stands still until it is moved", () => {
    const { clock } = setUp();
    assert.deepEqual(clock.now(), { wall: 1000, tick: 0 });
    clock.advance(0);
    assert.deepEqual(clock.now(), { wall: 1000, tick: 0 });
    clock.advance(1.5);
    assert.deepEqual(clock.now(), { wall: 1001.5, tick: 1.5 });
    assert.equal(new Date(new ManualClock().now().wall).toISOString(), "2026-01-01T00:00:00.000Z");
  });

  it("fires what is due, in order of time and then of setting, each at its time", () => {
    const { clock, log, note } = setUp();
    clock.setTimer(30, note("late"));
    clock.setTimer(10, note("first"));
    clock.setTimer(10, note("second"));
    clock.setTimer(31, note("not yet"));
    clock.advance(30);
    assert.deepEqual(log, ["first@10", "second@10", "late@30"]);
    assert.equal(clock.pending, 1);
    assert.deepEqual(clock.now(), { wall: 1030, tick: 30 });
    clock.advance(1);
    assert.equal(log.at(-1), "not yet@31");
  });

  it("never fires inside setTimer", () => {
    const { clock, log, note } = setUp();
    clock.setTimer(0, note("zero"));
    clock.setTimer(-5, note("negative"));
    assert.deepEqual(log, []);
    clock.advance(0);
    assert.deepEqual(log, ["zero@0", "negative@0"]);
  });

  it("fires timers that are set while firing", () => {
    const { clock, log, note } = setUp();
    clock.setTimer(10, () => {
      clock.setTimer(5, note("inner"));
      clock.setTimer(50, note("far"));
    });
    clock.setTimer(20, note("outer"));
    clock.advance(20);
    assert.deepEqual(log, ["inner@15", "outer@20"]);
  });

  it("does not fire what was cancelled, even by a timer of the same time", () => {
    const { clock, log, note } = setUp();
    const first = clock.setTimer(10, note("cancelled"));
    first.cancel();
    first.cancel();
    clock.setTimer(10, () => second.cancel());
    const second = clock.setTimer(10, note("cancelled"));
    const fired = clock.setTimer(10, note("fired"));
    clock.advance(10);
    fired.cancel();
    assert.deepEqual(log, ["fired@10"]);
    assert.equal(clock.pending, 0);
  });

  it("moves the wall clock alone", () => {
    const { clock, log, note } = setUp();
    clock.setTimer(10, note("timer"));
    clock.jumpWall(60_000);
    assert.deepEqual(clock.now(), { wall: 61_000, tick: 0 });
    clock.jumpWall(-61_000);
    clock.advance(9);
    assert.deepEqual(log, []);
    clock.advance(1);
    assert.deepEqual(log, ["timer@10"]);
    assert.deepEqual(clock.now(), { wall: 10, tick: 10 });
  });

  it("goes on after a timer that throws", () => {
    const { clock, log, note } = setUp();
    clock.setTimer(10, () => {
      throw new Error("bad timer");
    });
    clock.setTimer(20, note("next"));
    assert.throws(() => clock.advance(30), /bad timer/);
    assert.deepEqual(clock.now(), { wall: 1010, tick: 10 });
    clock.advance(20);
    assert.deepEqual(log, ["next@20"]);
  });

  it("refuses to go back, to be moved by its own timers, and delays that are none", () => {
    const { clock } = setUp();
    assert.throws(() => clock.advance(-1), RangeError);
    assert.throws(() => clock.advance(Number.NaN), RangeError);
    assert.throws(() => clock.setTimer(Number.NaN, () => undefined), RangeError);
    clock.setTimer(1, () => clock.advance(1));
    assert.throws(() => clock.advance(1), /may not advance the clock/);
  });

  it("notices a timer that sets itself for ever", () => {
    const { clock } = setUp();
    const again = () => void clock.setTimer(0, again);
    again();
    assert.throws(() => clock.advance(1), /timers fired in one advance/);
  });
});
