import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { defaultSettings } from "../../../src/server/settings.js";
import { readTls, watchTls } from "../../../src/server/tls_files.js";
import { makeAuthority } from "../../support/certificates.js";

describe("server: the files of TLS", () => {
  let folder: string;
  const file = (name: string, text: string): string => {
    const where = path.join(folder, name);
    writeFileSync(where, text);
    return where;
  };

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-tls-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("are read, or are not asked for", () => {
    assert.equal(readTls(defaultSettings()), undefined);
    const authority = makeAuthority();
    const { cert, key } = authority.issue("server");
    const files = { tlsCert: file("c", cert), tlsKey: file("k", key), tlsClientCa: file("a", authority.cert) };
    assert.deepEqual(readTls({ ...defaultSettings(), ...files }), { cert, key, clientCa: authority.cert });
  });

  it("are watched, until nobody wants to know", async () => {
    const tlsCert = file("c", "old");
    const settings = { ...defaultSettings(), tlsCert, tlsKey: file("k", "old") };
    const others: string[] = [];
    const stopOthers = watchTls(settings, () => others.push("told"));
    stopOthers();
    await new Promise<void>((resolve) => {
      const stop = watchTls(settings, () => {
        clearInterval(writing);
        stop();
        resolve();
      });
      // What is written before the first look at the file is no change to it.
      const writing = setInterval(() => appendFileSync(tlsCert, "more"), 100);
    });
    assert.deepEqual(others, []);
  });
});
