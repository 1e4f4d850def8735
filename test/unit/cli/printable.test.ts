import assert from "node:assert/strict";
import fc from "fast-check";
import { formatStates, jsonLine, printable, printableName } from "../../../src/cli/printable.js";

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

  it("shows what has no visible form by its code", () => {
    const blank = "a\u3164\u2800\uffa0\u115f\u034f\u180e\ufe01";
    assert.equal(printable(blank), "a\\u3164\\u2800\\uffa0\\u115f\\u034f\\u180e\\ufe01");
    assert.equal(printable("a\u{e0041}b\u{e0100}"), "a\\u{e0041}b\\u{e0100}");
    assert.equal(printable("a\u200db\u200c \ufe0f"), "a\\u200db\\u200c \\ufe0f");
  });

  it("leaves all other writing alone", () => {
    for (const text of [
      "тони",
      "托尼",
      "زهراء",
      "👋🏽 zoë",
      "👨\u200d👩\u200d👧",
      "می\u200cخواهم",
      "❤️\u200d🔥 1️⃣ ☀️",
      'a "b" \\ c',
    ])
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

describe("printableName", () => {
  it("quotes what is empty or not one plain word, and shows unusual spaces by their code", () => {
    const names = ["tony", "", " ", " tony ", "a b", "a\u00a0b", "\u3000", 'a"b', "a\\b", "a=b", "тони", "托尼"];
    assert.deepEqual(names.map(printableName), [
      ...["tony", '""', '" "', '" tony "', '"a b"', "a\\xa0b", "\\u3000", '"a\\"b"', "a\\\\b", '"a=b"', "тони", "托尼"],
    ]);
  });

  it("never shows two names the same", () => {
    const parts = fc.constantFrom(...'ab\\"x1u ', "\u00a0", "\u3164", "\u{e0061}", "\u001b", "\n", "\u200b");
    const names = fc.array(parts, { maxLength: 6 }).map((list) => list.join(""));
    fc.assert(
      fc.property(names, names, (a, b) => {
        assert.equal(printableName(a) === printableName(b), a === b);
      }),
      { numRuns: 2000 },
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
