import assert from "node:assert/strict";
import { importsOf } from "../../support/imports.js";

function read(...lines: string[]) {
  return importsOf("src/wire/codec.ts", lines.join("\n")).map(({ line, target, typeOnly }) => [line, target, typeOnly]);
}

describe("support: importsOf", () => {
  it("reads every form of import and export", () => {
    assert.deepEqual(
      read(
        'import assert from "node:assert/strict";',
        'import "./side_effect.js";',
        'import * as grpc from "@grpc/grpc-js";',
        "import {",
        "  one,",
        "  type Two,",
        '} from "../model/delta.js";',
        "import type {",
        "  Three,",
        '} from "../fanout/ports.js";',
        'import type Four from "./four.js";',
        'export { five } from "../../gen/presence/v1/presence_pb.js";',
        'export type { Six } from "./six.js";',
        'export * from "./seven.js";',
        'export type * from "./eight.js";',
        "const nine = await import('./nine.js');",
        'const ten = import("./ten.js", { with: { type: "json" } });',
        'const eleven = require("eleven");',
        'type Twelve = import("./twelve.js").Twelve;',
        'import type, { thirteen } from "./thirteen.js";',
        'import type from "./fourteen.js";',
      ),
      [
        [1, "node:assert/strict", false],
        [2, "src/wire/side_effect.ts", false],
        [3, "@grpc/grpc-js", false],
        [4, "src/model/delta.ts", false],
        [8, "src/fanout/ports.ts", true],
        [11, "src/wire/four.ts", true],
        [12, "gen/presence/v1/presence_pb.ts", false],
        [13, "src/wire/six.ts", true],
        [14, "src/wire/seven.ts", false],
        [15, "src/wire/eight.ts", true],
        [16, "src/wire/nine.ts", false],
        [17, "src/wire/ten.ts", false],
        [18, "eleven", false],
        [19, "src/wire/twelve.ts", false],
        [20, "src/wire/thirteen.ts", false],
        [21, "src/wire/fourteen.ts", false],
      ],
    );
  });

  it("reads computed imports as such", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a program
    assert.deepEqual(read("await import(name);", "await import(`./${name}.js`);", "require(name);"), [
      [1, undefined, false],
      [2, undefined, false],
      [3, undefined, false],
    ]);
  });

  it("is not led astray by comments, strings, and words that look alike", () => {
    assert.deepEqual(
      read(
        '// import "a";',
        "/*",
        'import "b";',
        " * const c = import('c');",
        "*/",
        'const url = "http://example.org"; // import("d")',
        "export const from = 1;",
        'export function importing() { return "e"; }',
        'export type Kind = "f" | "g";',
        'export default "h";',
        'loader.import("i"); reimport("j"); loader.require("k");',
        "const url = import.meta.url;",
        'import "./real.js";',
      ),
      [[13, "src/wire/real.ts", false]],
    );
  });
});
