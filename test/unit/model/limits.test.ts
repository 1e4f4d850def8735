import assert from "node:assert/strict";
import fc from "fast-check";
import { channelKey } from "../../../src/model/channel_id.js";
import { checkWholeState, DEFAULT_LIMITS, stateBytes } from "../../../src/model/limits.js";
import { property } from "../../support/property.js";

/** Text as it comes out of a decoder: anything but halves of characters. */
const text = fc.string({ unit: "binary", maxLength: 50, size: "max" });

describe("model: limits", () => {
  it("S21 has the limits that are documented", () => {
    assert.deepEqual(DEFAULT_LIMITS, {
      maxStatePairs: 32,
      maxStateBytes: 16 * 1024,
      maxPendingPairs: 100,
      maxChannelsPerUser: 100,
      maxSessionsPerUser: 32,
    });
  });

  property("counts the bytes that a state has as UTF-8", [fc.array(fc.tuple(text, text))], (pairs) => {
    const states = Object.fromEntries(pairs.filter(([key]) => key !== "__proto__"));
    const bytes = Object.entries(states).reduce((sum, [k, v]) => sum + Buffer.byteLength(k) + Buffer.byteLength(v), 0);
    assert.equal(stateBytes(states), bytes);
  });

  it("S21 takes a state that is exactly as large as is allowed, and no larger one", () => {
    const limits = { ...DEFAULT_LIMITS, maxStatePairs: 2, maxStateBytes: 10 };
    checkWholeState({ a: "1234", b: "1234" }, limits);
    checkWholeState({ "😀": "😀é" }, limits);
    assert.throws(() => checkWholeState({ a: "1234", b: "12345" }, limits), {
      reason: "STATE_SIZE_OVERFLOW",
      metadata: { limit: "10", actual: "11" },
    });
    assert.throws(() => checkWholeState({ a: "", b: "", c: "" }, limits), {
      reason: "STATE_COUNT_OVERFLOW",
      metadata: { limit: "2", actual: "3" },
    });
  });

  const channel = fc.record({ type: fc.constantFrom(1 as const, 2 as const), name: fc.string({ maxLength: 3 }) });

  property("tells channels apart by type and name", [channel, channel], (a, b) => {
    assert.equal(channelKey(a) === channelKey(b), a.type === b.type && a.name === b.name);
  });
});
