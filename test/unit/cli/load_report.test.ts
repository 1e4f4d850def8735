import assert from "node:assert/strict";
import { LoadTally, loadLines, reportOfLoad } from "../../../src/cli/load_report.js";

const plain = { bold: String, red: String };

describe("cli: the report of a load", () => {
  it("sums up counts, rates, percentiles, and errors by reason, the most frequent first", () => {
    const tally = new LoadTally();
    tally.joins = 2;
    tally.updates = 10;
    tally.deliveries = 10;
    for (let i = 0; i < 10; i++) tally.latencies.add(2);
    for (const reason of ["UNAVAILABLE", "RATE_LIMITED", "RATE_LIMITED"]) tally.failed(reason);
    const report = reportOfLoad({ users: 3, channels: 1 }, 2, tally);
    assert.deepEqual(report, {
      users: 3,
      channels: 1,
      seconds: 2,
      joins: 2,
      updates: 10,
      deliveries: 10,
      errors: { UNAVAILABLE: 1, RATE_LIMITED: 2 },
      latency: { p50: 2, p90: 2, p99: 2, max: 2 },
    });
    assert.deepEqual(loadLines(report, plain), [
      "joins       2 of 3 users, in 1 channels",
      "updates     10  (5.0/s)",
      "deliveries  10  (5.0/s)",
      "latency     p50 2.00 ms  p90 2.00 ms  p99 2.00 ms  max 2.00 ms",
      "errors      RATE_LIMITED 2  UNAVAILABLE 1",
    ]);
  });

  it("has no latency and no rates where there was nothing", () => {
    const report = reportOfLoad({ users: 1, channels: 1 }, 0, new LoadTally());
    assert.equal("latency" in report, false);
    assert.deepEqual(loadLines(report, plain).slice(1), [
      "updates     0",
      "deliveries  0",
      "latency     –",
      "errors      none",
    ]);
  });
});
