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
    throttle = new ConnectionThrottle({ clock, delayMs: 100 }, (one) => {
      if (gone.has(one)) return false;
      inside.push(one);
      return true;
    });
  });

  const names = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
  const come = (...all: string[]) => {
    for (const name of all) assert.equal(throttle.come(MALLORY, name), true);
  };
  /** One that is in leaves, and was of no use. */
  const waste = () => throttle.left(MALLORY, { isProven: false, isWasted: true });
  const leave = () => throttle.left(MALLORY, { isProven: false, isWasted: false });
  const comeAndWaste = () => {
    come("wasted");
    waste();
    inside = [];
  };

  it("lets everybody in at once while none is wasted, and keeps nothing of those who are of use", () => {
    for (const name of names(5000)) {
      come(name);
      throttle.proved(MALLORY);
    }
    assert.deepEqual(inside, names(5000));
    assert.equal(clock.pending, 0);
    assert.equal(throttle.size, 0);
  });

  it("lets the next ones of an address that wasted one wait, and come one by one", () => {
    comeAndWaste();
    come("a", "b", "c");
    assert.deepEqual(inside, []);
    assert.equal(throttle.waiting, 3);
    clock.advance(99);
    assert.deepEqual(inside, []);
    clock.advance(1);
    assert.deepEqual(inside, ["a"]);
    clock.advance(99);
    assert.deepEqual(inside, ["a"]);
    clock.advance(1);
    assert.deepEqual(inside, ["a", "b"]);
    clock.advance(100);
    assert.deepEqual(inside, ["a", "b", "c"]);
    assert.equal(throttle.waiting, 0);
  });

  it("lets those who waste one after the other wait twice as long each time, up to 16 times", () => {
    comeAndWaste();
    come(...names(9));
    const came: number[] = [];
    for (let ms = 1; ms <= 8000 && came.length < 8; ms++) {
      const before = inside.length;
      clock.advance(1);
      if (inside.length === before) continue;
      came.push(ms);
      waste();
    }
    assert.deepEqual(came, [100, 300, 700, 1500, 3100, 4700, 6300, 7900]);
  });

  it("takes those that were under way together for one offence", () => {
    come("a", "b", "c", "d");
    for (let i = 0; i < 4; i++) waste();
    come("e");
    clock.advance(100);
    assert.deepEqual(inside, ["a", "b", "c", "d", "e"]);
  });

  it("forgives who was of no harm for as long as it had to wait, and keeps nothing of it", () => {
    comeAndWaste();
    clock.advance(100);
    comeAndWaste();
    clock.advance(199);
    come("a");
    assert.deepEqual(inside, [], "twice as long, for it was at it again");
    clock.advance(1);
    assert.deepEqual(inside, ["a"]);
    leave();
    clock.advance(200);
    assert.equal(throttle.size, 0);
    assert.equal(clock.pending, 0);
    comeAndWaste();
    come("b");
    clock.advance(100);
    assert.deepEqual(inside, ["b"]);
  });

  it("does not hold up another address", () => {
    comeAndWaste();
    come("a");
    assert.equal(throttle.come(ANNA, "anna"), true);
    assert.deepEqual(inside, ["anna"]);
  });

  it("goes on at once when one turns out to be of use", () => {
    comeAndWaste();
    come("a", "b", "c", "d");
    clock.advance(100);
    assert.deepEqual(inside, ["a"]);
    throttle.proved(MALLORY);
    throttle.proved(MALLORY);
    assert.deepEqual(inside, ["a", "b", "c"]);
    throttle.come(ANNA, "anna");
    throttle.proved(ANNA);
    assert.deepEqual(inside, ["a", "b", "c", "anna"], "another's use is none of theirs");
    throttle.proved(MALLORY);
    assert.deepEqual(inside, ["a", "b", "c", "anna", "d"]);
    assert.equal(throttle.waiting, 0);
  });

  it("lets an address have 256 of no use, and then one more every 10 ms", () => {
    come(...names(260));
    assert.equal(inside.length, 256);
    clock.advance(9);
    assert.equal(inside.length, 256);
    clock.advance(1);
    assert.equal(inside.length, 257);
    clock.advance(10);
    assert.equal(inside.length, 258);
    throttle.proved(MALLORY);
    throttle.proved(MALLORY);
    assert.equal(inside.length, 260);
    assert.equal(throttle.waiting, 0);
    leave();
    clock.advance(100);
    come("room again");
    assert.equal(inside.length, 260, "257 are left");
    for (let i = 0; i < 257; i++) leave();
    clock.advance(10);
    assert.equal(inside.length, 261);
  });

  it("lets thousands of one address in as fast as they prove to be of use", () => {
    come(...names(5000));
    for (let i = 0; i < 5000; i++) throttle.proved(MALLORY);
    assert.equal(inside.length, 5000);
    assert.equal(throttle.size, 0);
    assert.equal(clock.pending, 0);
  });

  it("passes over who is gone when its turn comes", () => {
    comeAndWaste();
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
    comeAndWaste();
    come("a", "b");
    clock.advance(150);
    come("c");
    clock.advance(300);
    assert.deepEqual(inside, ["a", "b", "c"]);
  });

  it("lets no more than 10,000 wait, and says so", () => {
    comeAndWaste();
    come(...names(10_000));
    assert.equal(throttle.come(MALLORY, "one too many"), false);
    assert.equal(throttle.come(ANNA, "anna"), true, "who need not wait is let in all the same");
    clock.advance(100);
    come("there is room again");
    assert.equal(throttle.waiting, 10_000);
  });

  it("lets nobody in any more once it is closed, says who waited, and keeps nothing of who leaves later", () => {
    come("a");
    comeAndWaste();
    come("b", "c");
    assert.deepEqual(throttle.close(), ["b", "c"]);
    waste();
    assert.equal(throttle.come(MALLORY, "d"), false);
    clock.advance(10_000);
    assert.deepEqual(inside, []);
    assert.equal(throttle.waiting, 0);
    assert.equal(throttle.size, 0);
    assert.equal(clock.pending, 0);
  });
});
