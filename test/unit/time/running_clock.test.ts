import assert from "node:assert/strict";
import type { Clock, Instant } from "../../../src/time/clock.js";
import { Deadlines } from "../../../src/time/deadlines.js";
import { RunningClock } from "../../../src/time/running_clock.js";
import { ManualClock } from "../../support/manual_clock.js";

/** A machine whose process can be stopped: time goes on, and no timer fires until it runs again. */
class StoppableMachine implements Clock {
  readonly #running = new ManualClock();
  #stopped = 0;

  now(): Instant {
    const { wall, tick } = this.#running.now();
    return { wall: wall + this.#stopped, tick: tick + this.#stopped };
  }

  setTimer(delayMs: number, fire: () => void) {
    return this.#running.setTimer(delayMs, fire);
  }

  get pending(): number {
    return this.#running.pending;
  }

  run(ms: number): void {
    this.#running.advance(ms);
  }

  stop(ms: number): void {
    this.#stopped += ms;
  }

  setWall(ms: number): void {
    this.#running.jumpWall(ms);
  }
}

describe("RunningClock", () => {
  let machine: StoppableMachine;
  let clock: RunningClock;

  beforeEach(() => {
    machine = new StoppableMachine();
    clock = new RunningClock(machine);
  });

  it("goes as the machine's does, whatever the wall clock does", () => {
    const begin = clock.now();
    machine.run(10_000);
    machine.setWall(-3_600_000);
    machine.run(7);
    const { wall, tick } = clock.now();
    assert.equal(tick - begin.tick, 10_007);
    assert.equal(wall - begin.wall, 10_007 - 3_600_000);
    assert.equal(clock.lostMs, 0);
  });

  it("leaves out the time in which the process stood still", () => {
    machine.run(250);
    const before = clock.now().tick;
    machine.stop(60_000);
    const after = clock.now().tick;
    assert.ok(after >= before && after - before <= 1000, `${after - before} ms went by`);
    machine.run(2000);
    assert.equal(clock.now().tick - after, 2000);
    assert.ok(clock.lostMs > 59_000);
  });

  it("never goes back, and never stands still for one that runs slowly", () => {
    let last = clock.now().tick;
    const begin = last;
    for (let n = 0; n < 50; n++) {
      machine.stop(1600);
      machine.run(500);
      const { tick } = clock.now();
      assert.ok(tick > last);
      last = tick;
    }
    assert.ok(last - begin >= 50 * 500);
  });

  it("leaves a second's hold-up to the deadlines", () => {
    const before = clock.now().tick;
    machine.stop(1000);
    assert.equal(clock.now().tick - before, 1000);
  });

  it("lets deadlines wait for those who could not be heard (S4, S17), and not for ever", () => {
    const due: string[] = [];
    const deadlines = new Deadlines<string>(clock, (key) => due.push(key));
    deadlines.set("lease", clock.now().tick + 30_000);
    machine.run(10_000);
    machine.stop(300_000);
    machine.run(19_000);
    assert.deepEqual(due, []);
    machine.run(2000);
    assert.deepEqual(due, ["lease"]);
  });

  it("leaves no timer behind when it is closed", () => {
    machine.run(5000);
    clock.close();
    assert.equal(machine.pending, 0);
  });
});
