import assert from "node:assert/strict";
import { codeBlock, codeBlocks } from "../../support/readme.js";

const README = [
  "# Rollcall",
  "<!-- test: start -->",
  "",
  "```sh",
  "npm ci && npm start",
  "```",
  "<!-- test: story -->",
  "Some words in between unmark it.",
  "```ts title=example",
  "const fence = `",
  "``",
  "`;",
  "```",
  "1. A list",
  "   ~~~~TypeScript",
  "   if (true) {",
  "     ~~~",
  "  short",
  "   }",
  "   ~~~~",
  "",
  "<!--test: empty-->",
  "```",
  "```",
  "Inline ```code``` is no block.",
].join("\n");

describe("support: codeBlocks", () => {
  it("finds all blocks with language, marker, code and line", () => {
    assert.deepEqual(codeBlocks(README), [
      { language: "sh", marker: "test: start", code: "npm ci && npm start\n", line: 4 },
      { language: "ts", marker: undefined, code: "const fence = `\n``\n`;\n", line: 9 },
      { language: "typescript", marker: undefined, code: "if (true) {\n  ~~~\nshort\n}\n", line: 15 },
      { language: "", marker: "test: empty", code: "", line: 23 },
    ]);
  });

  it("closes a fence with its own sign alone, and marks no block but the next one", () => {
    const blocks = codeBlocks("<!-- first -->\n```\n~~~\n```\n```\nls\n```\n");
    assert.deepEqual(
      blocks.map(({ marker, code }) => [marker, code]),
      [
        ["first", "~~~\n"],
        [undefined, "ls\n"],
      ],
    );
  });

  it("reads Windows line ends", () => {
    assert.deepEqual(codeBlocks("```sh\r\nls\r\n```\r\n"), [
      { language: "sh", marker: undefined, code: "ls\n", line: 1 },
    ]);
  });

  it("filters by language and marker", () => {
    const lines = (filter: Parameters<typeof codeBlocks>[1]) => codeBlocks(README, filter).map((block) => block.line);
    assert.deepEqual(lines({ language: "ts" }), [9]);
    assert.deepEqual(lines({ marker: "test: start" }), [4]);
    assert.deepEqual(lines({ language: "ts", marker: "test: start" }), []);
  });

  it("throws at a block that does not end", () => {
    assert.throws(() => codeBlocks("text\n````sh\nls\n```\n"), /line 2: a code block that does not end/);
  });

  it("codeBlock gives the one that fits, and says what there is when it is not one", () => {
    assert.equal(codeBlock(README, { marker: "test: start" }).line, 4);
    assert.throws(
      () => codeBlock(README, { marker: "test: story" }),
      /no blocks fit .* among\nline 4: sh \(test: start\)/,
    );
    assert.throws(() => codeBlock(`${README}\n${README}`, { language: "sh" }), /2 blocks fit/);
  });
});
