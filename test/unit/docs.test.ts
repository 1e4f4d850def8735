import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { EXIT_CODE_MEANINGS, EXIT_CODES } from "../../src/cli/exit_codes.js";
import type { Io } from "../../src/cli/io.js";
import { createProgram } from "../../src/cli/program.js";
import { serveCommand } from "../../src/cli/serve.js";
import { REASONS } from "../../src/model/errors.js";
import { environmentName, parseSetting, SETTINGS } from "../../src/server/settings.js";
import { anchorsOf, codeSpans, linksIn } from "../support/markdown.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Flags of Node, npm and this project's scripts that the documents name. */
const OTHER_FLAGS = new Set([
  "--audit-level",
  "--cpu-prof",
  "--expose-gc",
  "--fgrep",
  "--help",
  "--max-old-space-size",
  "--minutes",
  "--omit",
  "--only",
  "--out",
  "--quick",
  "--spec",
  "--template",
]);

const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

function filesIn(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((file) => `${folder}/${file.split(path.sep).join("/")}`)
    .sort();
}

/** The flags of a command and of all commands below it, with their dashes. */
function flagsOf(command: Command): string[] {
  return [...command.options.map(({ long }) => long ?? ""), ...command.commands.flatMap(flagsOf)];
}

describe("documents", () => {
  const decisions = filesIn("docs/decisions");
  const examples = readdirSync(path.join(ROOT, "examples")).map((language) => `examples/${language}/README.md`);
  const inDocs = filesIn("docs").filter((file) => file.endsWith(".md"));
  const all = ["README.md", "bench/README.md", ...examples, ...inDocs];
  /** All but the record of bugs, which names what there was at the time. */
  const documents = all.filter((file) => file !== "docs/track-record.md");

  /** What `find` gives for each document, with the document's name. */
  const inEach = (files: readonly string[], find: (text: string, file: string) => readonly string[]): string[] =>
    files.flatMap((file) => find(read(file), file).map((found) => `${file}: ${found}`));

  it("link to files and headings that exist", () => {
    const isBroken = (link: string, file: string): boolean => {
      if (/^[a-z]+:/.test(link)) return false;
      const [target = "", anchor] = link.split("#");
      const found = target === "" ? file : path.posix.join(path.posix.dirname(file), target);
      if (!existsSync(path.join(ROOT, found))) return true;
      return anchor !== undefined && !anchorsOf(read(found)).has(anchor);
    };
    assert.deepEqual(
      inEach(all, (text, file) => linksIn(text).filter((link) => isBroken(link, file))),
      [],
    );
  });

  it("name files that exist", () => {
    const isFile = /^(?:src|test|docs|bench|examples|proto|scripts|third_party)\/[\w./-]*$/;
    assert.deepEqual(
      inEach(documents, (text) =>
        codeSpans(text).filter((code) => isFile.test(code) && !existsSync(path.join(ROOT, code))),
      ),
      [],
    );
  });

  it("name flags that exist", () => {
    const known = new Set(flagsOf(createProgram({} as Io, serveCommand())));
    const flagsIn = (code: string): string[] => code.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [];
    assert.deepEqual(
      inEach(documents, (text) =>
        codeSpans(text)
          .flatMap(flagsIn)
          .filter((flag) => !known.has(flag) && !OTHER_FLAGS.has(flag)),
      ),
      [],
    );
  });

  it("name every setting in the table of settings", () => {
    const [settings = ""] = /^## Settings\n[\s\S]*?^## /m.exec(read("docs/operations.md")) ?? [];
    const named = new Set(codeSpans(settings));
    const names = Object.values(SETTINGS).map((setting) =>
      setting.kind === "secret" ? environmentName(setting) : `--${setting.flag}`,
    );
    assert.deepEqual(
      names.filter((name) => !named.has(name)),
      [],
    );
  });

  it("list the exit codes as the commands use them", () => {
    const rows = [...read("docs/operations.md").matchAll(/^\| (\d+) \| (.+) \|$/gm)];
    const plain = (text: string): string => text.replaceAll("`", "");
    assert.deepEqual(
      rows.map(([, code, meaning]) => [Number(code), plain(meaning!)]),
      Object.entries(EXIT_CODES).map(([name, code]) => [code, EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES]]),
    );
  });

  it("give the defaults of the settings in the README's table of limits", () => {
    const rows = [...read("README.md").matchAll(/^\| [^|]+ \| ([^|]+) \| `--([a-z-]+)`(?: \(0: off\))? \|$/gm)];
    assert.ok(rows.length > 10);
    for (const [row, given, flag] of rows) {
      const setting = Object.values(SETTINGS).find((setting) => setting.flag === flag)!;
      const value = parseSetting(setting, setting.default!);
      const text =
        value === 0 ? "any number" : /^[\d,.]+(?: ?(?:KiB|MiB|s\b))?/.exec(given!)?.[0].replaceAll(/[ ,]/g, "");
      assert.deepEqual(value === 0 ? given : parseSetting(setting, text!), value === 0 ? text : value, row);
    }
  });

  it("name error reasons that exist", () => {
    const isReason =
      /^(?:CACHED|INVALID|NOT|PRESENCE|QUOTA|RATE|SAME|SERVER|SESSION|STATE|SUBSCRIBER|TOKEN|TOO)_[A-Z_]+$/;
    const known: readonly string[] = [...REASONS, "NOT_FOUND", "NOT_SERVING", "TOO_LARGE"];
    assert.deepEqual(
      inEach(documents, (text) =>
        (text.match(/(?<!\w)[A-Z]+_[A-Z_]+(?!\w)/g) ?? []).filter(
          (word) => isReason.test(word) && !known.includes(word),
        ),
      ),
      [],
    );
  });

  it("have one decision for each number, and name decisions that exist", () => {
    const numbers = decisions.map((file) => path.basename(file).slice(0, 3));
    assert.deepEqual(numbers, [...new Set(numbers)]);
    for (const [i, file] of decisions.entries()) assert.match(read(file), new RegExp(`^# ${numbers[i]}: `), file);
    assert.deepEqual(
      inEach(documents, (text) =>
        [...text.matchAll(/\bdecision (\d{3})\b/g)].map(([, number]) => number!).filter((n) => !numbers.includes(n)),
      ),
      [],
    );
  });
});
