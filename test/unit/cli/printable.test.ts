import assert from "node:assert/strict";
import fc from "fast-check";
import { formatStates, jsonLine, printable } from "../../../src/cli/printable.js";

/** What no terminal should get, by Unicode's own categories: controls, format characters, separators of lines, surrogates. */
const DANGEROUS = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

describe("printable", () => {
  it("shows control characters by their code", () => {
    assert.equal(printable("a\u001b[31mred\u0007\u009b2J\u007f"), "a\\x1b[31mred\\x07\\x9b2J\\x7f");
    assert.equal(printable("one\ntwo\r\tthree"), "one\\ntwo\\r\\tthree");
  });

  it("shows what reorders or hides text by its code", () => {
    assert.equal(printable("\u202eevil\u200b\u2028"), "\\u202eevil\\u200b\\u2028");
  });

  it("leaves all other writing alone", () => {
    for (const text of ["тони", "托尼", "زهراء", "👋🏽 zoë", "👨\u200d👩\u200d👧", "می\u200cخواهم", 'a "b" \\ c'])
      assert.equal(printable(text), text);
  });

  it("lets nothing dangerous through, as text or as JSON, which stays exact", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (key, value) => {
        const states = Object.fromEntries([[key, value]]);
        assert.doesNotMatch(printable(value), DANGEROUS);
        assert.doesNotMatch(formatStates(states), DANGEROUS);
        const json = jsonLine({ states });
        assert.doesNotMatch(json, DANGEROUS);
        assert.deepEqual(Object.entries(JSON.parse(json).states), Object.entries(states));
      }),
      { numRuns: 500 },
    );
  });
});

describe("formatStates", () => {
  it("orders by key, and quotes what is not one plain word", () => {
    const states = { b: "so so", a: "1", c: "", d: 'say "hi"', e: "x=y" };
    assert.equal(formatStates(states), 'a=1 b="so so" c="" d="say \\"hi\\"" e="x=y"');
    assert.equal(formatStates({}), "");
  });
});
