import assert from "node:assert/strict";
import fc from "fast-check";
import { Latencies } from "../../../src/cli/latencies.js";
import { property } from "../../support/property.js";

describe("cli: latencies", () => {
  const times = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });

  property(
    "have percentiles that are right to 2 %, and the very maximum",
    [times, fc.double({ min: 0, max: 1, noNaN: true })],
    (times, share) => {
      const latencies = new Latencies();
      for (const ms of times) latencies.add(ms);
      const sorted = [...times].sort((a, b) => a - b);
      const exact = sorted[Math.max(0, Math.ceil(share * times.length) - 1)]!;
      const told = latencies.percentile(share);
      assert.ok(told >= exact * 0.98 && told <= exact * 1.021, `${told} for ${exact}`);
      assert.deepEqual([latencies.max, latencies.count], [sorted.at(-1), times.length]);
    },
  );

  it("are 0 where there are none, and none is less than nothing", () => {
    const none = new Latencies();
    assert.deepEqual([none.percentile(0.5), none.max, none.count], [0, 0, 0]);
    const latencies = new Latencies();
    latencies.add(0);
    assert.equal(latencies.percentile(1), 0);
  });
});
