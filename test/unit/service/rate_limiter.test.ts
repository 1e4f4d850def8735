import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimiter } from "../../../src/service/rate_limiter.js";
import { ManualClock } from "../../support/manual_clock.js";
import { property } from "../../support/property.js";

function limiterOf(perSecond: number, burst: number) {
  const clock = new ManualClock({ tick: 12_345 });
  return { clock, limiter: new RateLimiter({ clock, perSecond, burst }) };
}

describe("service: rate limiter (S21)", () => {
  it("lets a burst through, then as many as come back", () => {
    const { clock, limiter } = limiterOf(20, 40);
    for (let i = 0; i < 40; i++) assert.equal(limiter.take("ann"), 0, `${i}`);
    assert.equal(limiter.take("ann"), 50);
    assert.equal(limiter.take("bob"), 0);
    clock.advance(49);
    assert.equal(limiter.take("ann"), 1);
    clock.advance(1);
    assert.equal(limiter.take("ann"), 0);
    assert.equal(limiter.take("ann"), 50);
  });

  it("takes all or none, and never asks for more than a bucket holds", () => {
    const { limiter } = limiterOf(10, 5);
    assert.equal(limiter.take("ann", 3), 0);
    assert.equal(limiter.take("ann", 3), 100);
    assert.equal(limiter.take("ann", 2), 0);
    assert.equal(limiter.take("ann", 1000), 500);
  });

  it("takes all tokens of a large request, down to ten bursts below zero", () => {
    const { clock, limiter } = limiterOf(10, 5);
    assert.equal(limiter.take("ann", 12), 0, "a full bucket lets any number in");
    assert.equal(limiter.take("ann"), 800, "7 below zero and 1 to take");
    clock.advance(799);
    assert.equal(limiter.take("ann"), 1);
    clock.advance(1);
    assert.equal(limiter.take("ann"), 0);
    clock.advance(500);
    assert.equal(limiter.take("ann", 1000), 0);
    assert.equal(limiter.take("ann"), 5100, "50 below zero and 1 to take");
    assert.equal(limiter.take("ann", 1000), 5500, "50 below zero and a full bucket");
  });

  it("takes more than is there, where fewer are enough", () => {
    const { limiter } = limiterOf(10, 5);
    assert.equal(limiter.take("ann", 4), 0);
    assert.equal(limiter.take("ann", 20, 1), 0);
    assert.equal(limiter.take("ann", 20, 1), 2000, "19 below zero and 1 to have");
  });

  it("remembers a bucket below zero until it is full, whatever others do meanwhile", () => {
    const { clock, limiter } = limiterOf(10, 5);
    limiter.take("bob");
    clock.advance(400);
    limiter.take("ann", 1000);
    for (let waitMs = 5100; waitMs > 0; waitMs -= 300) {
      assert.equal(limiter.wait("ann"), waitMs);
      limiter.take("bob");
      clock.advance(300);
    }
    clock.advance(2000);
    assert.deepEqual([limiter.size, clock.pending], [0, 0]);
  });

  it("looks without taking", () => {
    const { limiter } = limiterOf(10, 1);
    for (let i = 0; i < 3; i++) assert.equal(limiter.wait("ann"), 0);
    assert.equal(limiter.size, 0);
    limiter.take("ann");
    assert.equal(limiter.wait("ann"), 100);
  });

  it("forgets a bucket that is full again, and leaves no timer behind (S23)", () => {
    const { clock, limiter } = limiterOf(20, 40);
    for (let i = 0; i < 10_000; i++) limiter.take(`user ${i}`);
    assert.equal(limiter.size, 10_000);
    clock.advance(2000);
    limiter.take("user 1");
    clock.advance(2000);
    assert.equal(limiter.size, 1);
    clock.advance(2000);
    assert.deepEqual([limiter.size, clock.pending], [0, 0]);
    limiter.take("ann");
    limiter.close();
    assert.deepEqual([limiter.size, clock.pending], [0, 0]);
  });

  it("keeps no more buckets than it may, however many names are made up", () => {
    const { limiter } = limiterOf(20, 1);
    for (let i = 0; i < 350_000; i++) limiter.take(`made up ${i}`);
    assert.ok(limiter.size <= 200_001, `${limiter.size}`);
    assert.equal(limiter.wait("made up 349999"), 50, "the last is remembered");
  });

  const step = fc.oneof(
    fc.record({ name: fc.constantFrom("ann", "bob"), tokens: fc.integer({ min: 1, max: 80 }) }),
    fc.record({ passes: fc.integer({ min: 1, max: 900 }) }),
  );

  property(
    "is a token bucket per name, whatever is forgotten meanwhile",
    [fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 })],
    (perSecond, burst, steps) => {
      const { clock, limiter } = limiterOf(perSecond, burst);
      const tokens: Record<string, number> = { ann: burst, bob: burst };
      for (const one of steps) {
        if ("passes" in one) {
          clock.advance(one.passes);
          for (const name of Object.keys(tokens)) {
            tokens[name] = Math.min(burst, tokens[name]! + (one.passes * perSecond) / 1000);
          }
          continue;
        }
        const wanted = Math.min(one.tokens, burst);
        const missing = wanted - tokens[one.name]!;
        const waitMs = limiter.take(one.name, one.tokens);
        if (missing > 1e-6) assert.equal(waitMs, Math.ceil((missing * 1000) / perSecond - 1e-6));
        else {
          assert.equal(waitMs, 0);
          tokens[one.name] = Math.max(tokens[one.name]! - one.tokens, -10 * burst);
        }
      }
    },
    { runs: 500 },
  );
});
