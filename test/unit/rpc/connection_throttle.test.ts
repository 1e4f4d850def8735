import assert from "node:assert/strict";
import { ConnectionThrottle } from "../../../src/rpc/connection_throttle.js";
import { ManualClock } from "../../support/manual_clock.js";

const MALLORY = "192.0.2.1";
const ANNA = "192.0.2.2";

describe("rpc: connections of an address that wastes them (S21)", () => {
  let clock: ManualClock;
  let inside: string[];
  let gone: Set<string>;
  let throttle: ConnectionThrottle<string>;

  beforeEach(() => {
    clock = new ManualClock();
    inside = [];
    gone = new Set();
    throttle = new ConnectionThrottle({ clock, perSecond: 10 }, (one) => {
      if (gone.has(one)) return false;
      inside.push(one);
      return true;
    });
  });

  const waste = (count: number) => {
    for (let i = 0; i < count; i++) throttle.wasted(MALLORY);
  };
  const come = (...names: string[]) => {
    for (const name of names) assert.equal(throttle.come(MALLORY, name), true);
  };

  it("lets everybody in at once, however many, while none is wasted", () => {
    const names = Array.from({ length: 5000 }, (_, i) => `${i}`);
    come(...names);
    assert.deepEqual(inside, names);
    assert.equal(clock.pending, 0, "and keeps nothing of it");
  });

  it("lets the next ones of an address that wasted one wait for their turn", () => {
    come("a");
    assert.deepEqual(inside, ["a"]);
    waste(1);
    come("b", "c");
    assert.deepEqual(inside, ["a"]);
    assert.equal(throttle.waiting, 2);
    clock.advance(99);
    assert.deepEqual(inside, ["a"]);
    clock.advance(1);
    assert.deepEqual(inside, ["a", "b"]);
    assert.equal(throttle.waiting, 1);
    clock.advance(100);
    assert.deepEqual(inside, ["a", "b", "c"]);
    assert.equal(throttle.waiting, 0);
  });

  it("lets those who waste one after the other in no faster than that", () => {
    waste(1);
    come(...Array.from({ length: 100 }, (_, i) => `${i}`));
    for (let ms = 0; ms < 2000; ms += 10) {
      const before = inside.length;
      clock.advance(10);
      waste(inside.length - before);
    }
    assert.equal(inside.length, 20);
    assert.equal(throttle.waiting, 80);
  });

  it("does not hold up another address", () => {
    waste(100);
    come("a");
    assert.equal(throttle.come(ANNA, "anna"), true);
    assert.deepEqual(inside, ["anna"]);
  });

  it("forgives: what is wasted at the same time does not add up", () => {
    waste(1000);
    come("a");
    clock.advance(100);
    assert.deepEqual(inside, ["a"]);
  });

  it("goes on at once when one turns out to be of use", () => {
    waste(1);
    come("a", "b", "c", "d");
    clock.advance(100);
    assert.deepEqual(inside, ["a"]);
    throttle.proved(MALLORY);
    throttle.proved(MALLORY);
    assert.deepEqual(inside, ["a", "b", "c"]);
    throttle.proved(ANNA);
    assert.deepEqual(inside, ["a", "b", "c"], "another's use is none of theirs");
    throttle.proved(MALLORY);
    throttle.proved(MALLORY);
    assert.deepEqual(inside, ["a", "b", "c", "d"]);
    assert.equal(throttle.waiting, 0);
    assert.equal(clock.pending, 1, "what is wasted has a timer, and who waits has none any more");
  });

  it("passes over who is gone when its turn comes", () => {
    waste(1);
    come("a", "b", "c", "d");
    gone = new Set(["a", "b"]);
    clock.advance(100);
    assert.deepEqual(inside, ["c"]);
    assert.equal(throttle.waiting, 1);
    gone.add("d");
    clock.advance(100);
    assert.deepEqual(inside, ["c"]);
    assert.equal(throttle.waiting, 0);
  });

  it("keeps the order of coming, for who comes while others wait as well", () => {
    waste(1);
    come("a", "b");
    clock.advance(150);
    come("c");
    clock.advance(300);
    assert.deepEqual(inside, ["a", "b", "c"]);
  });

  it("lets no more than 1,000 wait, and says so", () => {
    waste(1);
    come(...Array.from({ length: 1000 }, (_, i) => `${i}`));
    assert.equal(throttle.come(MALLORY, "one too many"), false);
    assert.equal(throttle.come(ANNA, "anna"), true, "who need not wait is let in all the same");
    clock.advance(100);
    come("there is room again");
    assert.equal(throttle.waiting, 1000);
  });

  it("keeps nothing of an address once it is forgiven", () => {
    waste(1);
    come("a", "b");
    clock.advance(10_000);
    assert.deepEqual(inside, ["a", "b"]);
    assert.equal(clock.pending, 0);
  });

  it("lets nobody in any more once it is cleared, and says who waited", () => {
    waste(1);
    come("a", "b");
    assert.deepEqual(throttle.clear(), ["a", "b"]);
    clock.advance(10_000);
    assert.deepEqual(inside, []);
    assert.equal(throttle.waiting, 0);
  });
});
