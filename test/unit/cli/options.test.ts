import assert from "node:assert/strict";
import { parseDuration, parsePair, parseRevision } from "../../../src/cli/options.js";

describe("parsePair", () => {
  it("splits at the first =, and adds to the pairs before", () => {
    assert.deepEqual(parsePair("a=b=c", parsePair("x=", undefined)), { x: "", a: "b=c" });
    assert.throws(() => parsePair("a=2", { a: "1" }), /the key "a" is given twice/);
  });

  it("takes __proto__ for a key like any other", () => {
    assert.deepEqual(Object.entries(parsePair("__proto__=x")), [["__proto__", "x"]]);
  });

  it("refuses what has no key or no =", () => {
    for (const text of ["a", "=b", ""]) assert.throws(() => parsePair(text), /is not KEY=VALUE/);
  });
});

describe("parseDuration", () => {
  it("reads milliseconds, seconds and minutes", () => {
    assert.deepEqual(["500ms", "5s", "1.5m"].map(parseDuration), [500, 5000, 90_000]);
  });

  it("refuses everything else", () => {
    for (const text of ["", "5", "s", "-1s", "0s", "1h", "5 s", "1e3s", "Infinitys", "9999999m"]) {
      assert.throws(() => parseDuration(text), /such as 500ms/, text);
    }
  });
});

describe("parseRevision", () => {
  it("reads all of 64 bits", () => {
    assert.equal(parseRevision("0"), 0n);
    assert.equal(parseRevision("18446744073709551615"), 2n ** 64n - 1n);
  });

  it("refuses everything else", () => {
    for (const text of ["", "-1", "1.0", "0x1", "18446744073709551616", "1".repeat(400)]) {
      assert.throws(() => parseRevision(text), /whole number/, text);
    }
  });
});
