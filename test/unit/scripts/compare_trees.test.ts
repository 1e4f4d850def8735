import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { compareTrees } from "../../../scripts/compare_trees.js";

describe("scripts: compareTrees", () => {
  let root: string;
  const tree = (name: string) => path.join(root, name);

  function write(name: string, files: Record<string, string>): void {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(tree(name), file)), { recursive: true });
      writeFileSync(path.join(tree(name), file), text);
    }
  }

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "rollcall-test-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("finds nothing where the trees are the same", () => {
    write("expected", { "a.ts": "1", "sub/b.ts": "2" });
    write("actual", { "a.ts": "1", "sub/b.ts": "2" });
    mkdirSync(path.join(tree("actual"), "empty"));
    assert.deepEqual(compareTrees(tree("expected"), tree("actual")), []);
  });

  it("names every file that differs, is missing, or is extra", () => {
    write("expected", { "a.ts": "1", "sub/b.ts": "2", "sub/c.ts": "3" });
    write("actual", { "a.ts": "1 ", "sub/c.ts": "3", "sub/deep/d.ts": "4" });
    assert.deepEqual(compareTrees(tree("expected"), tree("actual")), [
      { file: "a.ts", kind: "differs" },
      { file: "sub/b.ts", kind: "missing" },
      { file: "sub/deep/d.ts", kind: "extra" },
    ]);
  });

  it("takes a folder that is not there for an empty one", () => {
    write("expected", { "a.ts": "1" });
    assert.deepEqual(compareTrees(tree("expected"), tree("nowhere")), [{ file: "a.ts", kind: "missing" }]);
    assert.deepEqual(compareTrees(tree("nowhere"), tree("expected")), [{ file: "a.ts", kind: "extra" }]);
  });
});
