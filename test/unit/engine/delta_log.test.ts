import assert from "node:assert/strict";
import fc from "fast-check";
import { DeltaLog } from "../../../src/engine/delta_log.js";
import type { Delta } from "../../../src/model/delta.js";
import { property } from "../../support/property.js";

function leave(revision: number, userId = "ann"): Delta {
  return { kind: "leave", userId, revision, time: 0, occupancy: 0 };
}

function change(revision: number, value: string): Delta {
  const state = { userId: "ann", states: { value }, revision, updateTime: 0, joinTime: 0 };
  return {
    kind: "state",
    userId: "ann",
    revision,
    time: 0,
    occupancy: 1,
    state,
    changedKeys: ["value"],
    removedKeys: [],
  };
}

describe("engine: the log of changes", () => {
  const limits = fc.record({ maxEvents: fc.nat(50), maxBytes: fc.integer({ min: 0, max: 10_000 }) });
  const sizes = fc.array(fc.constantFrom<number[]>(0, 10, 500, 3000), { maxLength: 200, size: "max" });

  property("keeps the newest changes that fit, without a gap up to the head", [limits, sizes], (limits, sizes) => {
    const log = new DeltaLog(limits);
    let remembered = 0;
    for (const [index, size] of sizes.entries()) {
      const head = index + 1;
      log.append(change(head, "x".repeat(size)));
      remembered = 0;
      while (remembered < head && log.after(head - remembered - 1, head)) remembered++;
      assert.equal(log.after(head - remembered - 1, head), undefined);
      for (const missed of [0, Math.ceil(remembered / 2), remembered]) {
        const revisions = log.after(head - missed, head)!.map(({ revision }) => revision);
        assert.deepEqual(
          revisions,
          [...Array(missed).keys()].map((i) => head - missed + 1 + i),
        );
      }
      const bytes = sizes.slice(head - remembered, head).reduce((sum, more) => sum + more, 0);
      assert.ok(remembered <= limits.maxEvents && bytes <= limits.maxBytes, "more than is allowed");
      // What a change holds on to beside its value is about 113 bytes here.
      const oneMore = sizes.slice(head - remembered - 1, head).reduce((sum, more) => sum + more + 113, 0);
      if (remembered < head) assert.ok(remembered === limits.maxEvents || oneMore > limits.maxBytes, "less than fits");
    }
  });

  it("counts the bytes of long names as well", () => {
    const log = new DeltaLog({ maxEvents: 100, maxBytes: 1000 });
    for (let revision = 1; revision <= 10; revision++) log.append(leave(revision, "u".repeat(400)));
    assert.equal(log.after(9, 10)?.length, 1);
    assert.equal(log.after(7, 10), undefined);
  });
});
