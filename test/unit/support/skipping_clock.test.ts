import assert from "node:assert/strict";
import { ManualClock } from "../../support/manual_clock.js";
import { SkippingClock } from "../../support/skipping_clock.js";

describe("SkippingClock", () => {
  it("passes time on, and fires what becomes due in a skip in the order of the times", () => {
    const base = new ManualClock();
    const clock = new SkippingClock(base);
    const fired: string[] = [];
    const start = clock.now();
    clock.setTimer(3000, () => fired.push("third"));
    const cancelled = clock.setTimer(2500, () => fired.push("cancelled"));
    clock.setTimer(2000, () => {
      fired.push("second");
      cancelled.cancel();
      clock.setTimer(10, () => fired.push("set in the skip"));
    });
    clock.setTimer(100, () => fired.push("first"));
    base.advance(100);
    assert.deepEqual(fired, ["first"]);
    clock.skip(2950);
    assert.deepEqual(fired, ["first", "second", "third"]);
    assert.equal(clock.now().tick - start.tick, 3050);
    assert.equal(clock.now().wall - start.wall, 3050);
    base.advance(10);
    assert.equal(fired.at(-1), "set in the skip");
  });

  it("lets a timer wait for what a skip left of its delay", () => {
    const base = new ManualClock();
    const clock = new SkippingClock(base);
    let fired = 0;
    clock.setTimer(1000, () => fired++);
    clock.skip(900);
    base.advance(99);
    assert.equal(fired, 0);
    base.advance(1);
    assert.equal(fired, 1);
    assert.equal(base.pending, 0);
  });
});
