import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { forbidden, ROOMS } from "../support/arrows.js";
import { importsIn } from "../support/imports.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAX_LINES = 400;

/** Folders of test/unit that mirror other parts of the repository than the rooms of src. */
const OTHER_FOLDERS = ["guarantees", "scripts", "support"];

/** What would give a pure room a clock, a timer or chance of its own. */
const IMPURE = /\b(?:Date\.now|new Date\(\)|performance\.|set(?:Timeout|Interval|Immediate)\b|Math\.random|crypto\.)/;

/** Paths, from the root and with `/`, of the files below a folder whose names end so. */
function filesOf(folder: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending))
    .map((file) => [folder, ...file.split(path.sep)].join("/"));
}

/** The names at that depth of those paths that go deeper, sorted. */
function foldersOf(files: readonly string[], depth: number): string[] {
  const folders = files.map((file) => file.split("/")).filter((parts) => parts.length > depth + 1);
  return [...new Set(folders.map((parts) => parts[depth]!))].sort();
}

describe("architecture", () => {
  const sources = filesOf("src", ".ts");
  const text = (file: string) => readFileSync(path.join(ROOT, file), "utf8");

  it("has arrows between the rooms one way only", () => {
    assert.deepEqual(forbidden(importsIn(ROOT, sources)), []);
  });

  it("has no file without a room", () => {
    assert.deepEqual(
      sources.filter((file) => !ROOMS.some((room) => file.startsWith(`src/${room}/`))),
      [],
    );
  });

  it("keeps model and channel free of clocks, timers and chance", () => {
    const pure = sources.filter((file) => /^src\/(?:model|channel)\//.test(file));
    assert.deepEqual(
      pure.filter((file) => IMPURE.test(text(file))),
      [],
    );
  });

  it("lets the service make a channel of a request in one place, where its rights are checked (S20)", () => {
    const making = sources.filter((file) => file.startsWith("src/service/") && /\btoChannelId\b/.test(text(file)));
    assert.deepEqual(making, ["src/service/access.ts"]);
  });

  it(`has no file of more than ${MAX_LINES} lines`, () => {
    const long = sources.map((file) => [file, text(file).split("\n").length - 1] as const);
    assert.deepEqual(
      long.filter(([, lines]) => lines > MAX_LINES),
      [],
    );
  });

  it("has unit tests for each room, and none for rooms that are not there", () => {
    const rooms = foldersOf(sources, 1);
    const tested = foldersOf(filesOf("test/unit", ".test.ts"), 2);
    assert.deepEqual(
      tested.filter((folder) => !OTHER_FOLDERS.includes(folder)),
      rooms,
    );
  });
});
