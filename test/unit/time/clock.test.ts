import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { systemClock } from "../../../src/time/clock.js";
import { deferred, within } from "../../support/deferred.js";

describe("time: the machine's clock", () => {
  it("tells the time for people, and one that only goes forward", () => {
    const first = systemClock.now();
    const second = systemClock.now();
    assert.ok(Math.abs(first.wall - Date.now()) < 1000);
    assert.ok(second.tick >= first.tick);
  });

  it("fires a timer once, and not before its time", async () => {
    const fired = deferred();
    const began = systemClock.now().tick;
    // The test's own timer keeps the process alive: those of the clock do not.
    systemClock.setTimer(20, () => fired.resolve());
    await within("the timer", fired.promise);
    // Node counts whole milliseconds, from the beginning of a turn of its loop.
    assert.ok(systemClock.now().tick - began > 18);
  });

  it("does not fire a timer that was cancelled, nor one that is too far away for Node", async () => {
    const fired: string[] = [];
    const cancelled = systemClock.setTimer(0, () => fired.push("cancelled"));
    cancelled.cancel();
    cancelled.cancel();
    const far = systemClock.setTimer(2 ** 40, () => fired.push("far"));
    const soon = deferred();
    systemClock.setTimer(-5, () => soon.resolve());
    await within("a timer of the past", soon.promise);
    const later = deferred();
    systemClock.setTimer(10, () => later.resolve());
    await within("a later timer", later.promise);
    await turn();
    assert.deepEqual(fired, []);
    far.cancel();
  });
});
