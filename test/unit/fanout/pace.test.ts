import assert from "node:assert/strict";
import { belongsInIntervals } from "../../../src/fanout/pace.js";

describe("fanout: the pace of a channel (S18)", () => {
  const pace = { announceMax: 500, intervalMs: 1000 };

  it("announces up to the limit, and tells in intervals above it", () => {
    assert.equal(belongsInIntervals(pace, 500, false), false);
    assert.equal(belongsInIntervals(pace, 501, false), true);
  });

  it("announces again below four fifths of the limit only", () => {
    assert.equal(belongsInIntervals(pace, 400, true), true);
    assert.equal(belongsInIntervals(pace, 399, true), false);
  });

  it("never announces where the limit is 0, once anybody is there", () => {
    assert.equal(belongsInIntervals({ ...pace, announceMax: 0 }, 0, false), false);
    assert.equal(belongsInIntervals({ ...pace, announceMax: 0 }, 1, false), true);
    assert.equal(belongsInIntervals({ ...pace, announceMax: 0 }, 0, true), true);
  });
});
