import assert from "node:assert/strict";
import { revisionsByTime } from "../../../src/server/revisions.js";
import { ManualClock } from "../../support/manual_clock.js";

describe("server: revisions", () => {
  const at = (wall: number, random: () => number = () => 0) => revisionsByTime(new ManualClock({ wall }), random);

  it("are 64 for each millisecond since 2020, and a random number below 64", () => {
    const begin = Date.UTC(2020, 0, 1);
    assert.equal(at(begin)(-1), 0);
    assert.equal(at(begin + 1)(-1), 64);
    assert.equal(at(begin + 1, () => 0.999)(-1), 127);
    assert.equal(at(begin + 1.9)(-1), 64);
    assert.equal(at(Date.UTC(2026, 10, 27))(-1), 13_945_651_200_000);
  });

  it("differ by chance where the time is the same", () => {
    const next = revisionsByTime(new ManualClock());
    const seen = new Set(Array.from({ length: 2000 }, () => next(-1) % 64));
    assert.equal(seen.size, 64);
  });

  it("are above the highest so far, when many are needed at once and when the clock goes back", () => {
    const clock = new ManualClock();
    const next = revisionsByTime(clock);
    let last = next(-1);
    for (let i = 0; i < 500; i++) {
      const revision = next(last);
      assert.ok(revision > last);
      last = revision;
    }
    clock.jumpWall(-24 * 3600 * 1000);
    assert.equal(next(last), last + 1);
    clock.jumpWall(48 * 3600 * 1000);
    assert.ok(next(last) > last + 64 * 23 * 3600 * 1000);
  });

  it("are whole and not negative with a clock before 2020, and below 2^52 for centuries", () => {
    assert.equal(at(0)(-1), 0);
    assert.equal(at(0)(7), 8);
    const late = at(Date.UTC(4000, 0, 1), () => 0.999)(-1);
    assert.ok(Number.isSafeInteger(late) && late < 2 ** 52);
  });
});
