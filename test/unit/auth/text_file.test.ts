import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { readTextFile, secretIn } from "../../../src/auth/text_file.js";

describe("auth: files of keys and certificates", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-file-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (content: string | Uint8Array): string => {
    const where = path.join(folder, "file");
    writeFileSync(where, content);
    return where;
  };
  const refused = (where: string, why: string): void =>
    assert.throws(() => readTextFile(where), { name: "TextFileError", message: `${where} ${why}` });

  it("are read up to 1 MiB, through links as well", () => {
    const text = "x".repeat(1024 * 1024);
    const link = path.join(folder, "link");
    symlinkSync(file(text), link);
    assert.equal(readTextFile(link).text, text);
    assert.equal(readTextFile(file("\uFEFFä\n")).text, "\uFEFFä\n");
  });

  it("are refused when they are empty, too large, not text, not there, or no regular files", () => {
    refused(file(""), "is empty");
    refused(file("x".repeat(1024 * 1024 + 1)), "is larger than 1 MiB");
    refused(file(Uint8Array.from([0x61, 0xff])), "is not UTF-8 text");
    refused(path.join(folder, "none"), "cannot be read (ENOENT)");
    mkdirSync(path.join(folder, "folder"));
    refused(path.join(folder, "folder"), "is not a regular file");
    if (process.platform === "win32") {
      console.log("      no FIFOs on Windows: not tried");
      return;
    }
    refused("/dev/zero", "is not a regular file");
    const fifo = path.join(folder, "fifo");
    execFileSync("mkfifo", [fifo]);
    refused(fifo, "is not a regular file");
    if (process.getuid?.() === 0) {
      console.log("      root reads every file: a file without permission was not tried");
      return;
    }
    const closed = file("x");
    chmodSync(closed, 0o000);
    refused(closed, "cannot be read (EACCES)");
  });

  it("tell whether others than their owner may read them", function () {
    if (process.platform === "win32") this.skip();
    const where = file("secret");
    for (const [mode, expected] of [
      [0o600, false],
      [0o400, false],
      [0o640, true],
      [0o604, true],
    ] as const) {
      chmodSync(where, mode);
      assert.equal(readTextFile(where).isReadableByOthers, expected, mode.toString(8));
    }
  });

  it("hold a secret without the line break at their end", () => {
    for (const text of ["secret", "secret\n", "secret\r\n"]) assert.equal(secretIn(text), "secret");
    assert.equal(secretIn(" secret \n\n"), " secret \n");
  });
});
