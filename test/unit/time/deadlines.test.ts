import assert from "node:assert/strict";
import fc from "fast-check";
import type { Clock } from "../../../src/time/clock.js";
import { Deadlines } from "../../../src/time/deadlines.js";
import { ManualClock } from "../../support/manual_clock.js";
import { property } from "../../support/property.js";

/** Deadlines that note which keys came due, and when. */
function recorded(clock = new ManualClock()) {
  const due: [key: string, at: number][] = [];
  const deadlines = new Deadlines<string>(clock, (key) => due.push([key, clock.now().tick]));
  return { clock, deadlines, due };
}

describe("time: deadlines", () => {
  it("calls once for each key, at its time", () => {
    const { clock, deadlines, due } = recorded();
    deadlines.set("late", 30);
    deadlines.set("early", 10);
    assert.equal(deadlines.size, 2);
    clock.advance(9);
    assert.deepEqual(due, []);
    clock.advance(100);
    assert.deepEqual(due, [
      ["early", 10],
      ["late", 30],
    ]);
    assert.equal(deadlines.size, 0);
    assert.equal(clock.pending, 0);
  });

  it("moves a deadline later, earlier, and away", () => {
    const { clock, deadlines, due } = recorded();
    for (const key of ["later", "earlier", "never"]) deadlines.set(key, 20);
    deadlines.set("later", 50);
    deadlines.set("earlier", 5);
    deadlines.set("never", undefined);
    deadlines.set("never", undefined);
    clock.advance(100);
    assert.deepEqual(due, [
      ["earlier", 5],
      ["later", 50],
    ]);
  });

  it("handles one that was due already with the next turn of the clock", () => {
    const { clock, deadlines, due } = recorded();
    clock.advance(40);
    deadlines.set("past", 10);
    assert.deepEqual(due, []);
    clock.advance(0);
    assert.deepEqual(due, [["past", 40]]);
  });

  it("lets the callee set the next deadline of the same key", () => {
    const clock = new ManualClock();
    const ticks: number[] = [];
    const deadlines: Deadlines<string> = new Deadlines(clock, (key) => {
      ticks.push(clock.now().tick);
      if (ticks.length < 3) deadlines.set(key, clock.now().tick + 10);
    });
    deadlines.set("again", 10);
    clock.advance(1000);
    assert.deepEqual(ticks, [10, 20, 30]);
  });

  it("sets one timer for all, and none once it is cleared", () => {
    const { clock, deadlines, due } = recorded();
    for (let key = 0; key < 100; key++) deadlines.set(String(key), 1000 - key);
    assert.equal(clock.pending, 1);
    deadlines.clear();
    assert.equal(clock.pending, 0);
    assert.equal(deadlines.size, 0);
    clock.advance(2000);
    assert.deepEqual(due, []);
    deadlines.set("anew", 3000);
    clock.advance(2000);
    assert.deepEqual(due, [["anew", 3000]]);
  });

  it("gives other work its turn when very many are due at once", () => {
    const clock = new ManualClock();
    let handled = 0;
    const deadlines = new Deadlines<number>(clock, () => {
      handled++;
    });
    for (let key = 0; key < 1200; key++) deadlines.set(key, 10);
    const seenByOthers: number[] = [];
    const look = (): void => {
      seenByOthers.push(handled);
      if (handled < 1200) clock.setTimer(0, look);
    };
    clock.setTimer(10, look);
    clock.advance(10);
    assert.equal(handled, 1200);
    assert.deepEqual(
      seenByOthers,
      Array.from({ length: 12 }, (_, n) => 100 * (n + 1)),
    );
  });

  it("does not hold on to deadlines that were cancelled, and loses none of the others", () => {
    let timers = 0;
    const clock = new ManualClock();
    const counting: Clock = {
      now: () => clock.now(),
      setTimer: (delayMs, fire) => {
        timers++;
        return clock.setTimer(delayMs, fire);
      },
    };
    const due: string[] = [];
    const deadlines = new Deadlines<string>(counting, (key) => due.push(key));
    deadlines.set("put off", 10);
    deadlines.set("put off", 15_000);
    for (let i = 0; i < 10_000; i++) {
      deadlines.set("flapping", 1000 + i);
      deadlines.set("flapping", undefined);
    }
    clock.advance(14_999);
    assert.deepEqual(due, []);
    clock.advance(1);
    assert.deepEqual(due, ["put off"]);
    // Each slot that is left in the heap costs a timer, so they count what was kept.
    assert.ok(timers < 500, `${timers} timers were set for deadlines that nobody waits for`);
  });

  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("set" as const), key, delay: fc.nat(50) }),
      fc.record({ kind: fc.constant("cancel" as const), key }),
      fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(30) }),
    ),
    { maxLength: 400, size: "max" },
  );

  property("is like a list that is searched every millisecond", [steps], (course) => {
    const { clock, deadlines, due } = recorded();
    const expected: [string, number][] = [];
    const waiting = new Map<string, number>();
    for (const step of course) {
      const now = clock.now().tick;
      if (step.kind === "set") {
        waiting.set(step.key, now + step.delay);
        deadlines.set(step.key, now + step.delay);
      } else if (step.kind === "cancel") {
        waiting.delete(step.key);
        deadlines.set(step.key, undefined);
      } else {
        for (const [key, at] of waiting) {
          if (at > now + step.ms) continue;
          expected.push([key, at]);
          waiting.delete(key);
        }
        clock.advance(step.ms);
      }
      assert.equal(deadlines.size, waiting.size);
      // Of the same moment, any order will do.
      assert.deepEqual(due.splice(0).sort(byMoment), expected.splice(0).sort(byMoment));
    }
  });
});

function byMoment([a, at]: [string, number], [b, bt]: [string, number]): number {
  return at - bt || (a < b ? -1 : 1);
}
