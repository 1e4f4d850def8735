import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { defaultSettings } from "../../../src/server/settings.js";
import { readTls, watchTls } from "../../../src/server/tls_files.js";
import { makeAuthority } from "../../support/certificates.js";

describe("server: the files of TLS", () => {
  let folder: string;
  const warnings: string[] = [];
  const warn = (setting: string, why: string): void => void warnings.push(`${setting}: ${why}`);
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
    assert.equal(readTls(defaultSettings(), warn), undefined);
    const authority = makeAuthority();
    const { cert, key } = authority.issue("server");
    const files = { tlsCert: file("c", cert), tlsKey: file("k", key), tlsClientCa: file("a", authority.cert) };
    assert.deepEqual(readTls({ ...defaultSettings(), ...files }, warn), {
      cert,
      key,
      clientCa: [authority.cert.trimEnd()],
    });
  });

  it("hold whole certificates that can be parsed, at least one where authorities are asked for", () => {
    const authority = makeAuthority();
    const other = makeAuthority("Other");
    const { cert, key } = authority.issue("server");
    const files = (changed: { cert?: string; key?: string; ca?: string }) => ({
      ...defaultSettings(),
      tlsCert: file("c", changed.cert ?? cert),
      tlsKey: file("k", changed.key ?? key),
      tlsClientCa: file("a", changed.ca ?? authority.cert),
    });
    const wrong = (text: string) => text.replace(/\n[A-Za-z0-9+/=]{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
    const chain = authority.cert + other.cert;
    const refused: readonly [Parameters<typeof files>[0], RegExp][] = [
      [{ ca: "" }, /^--tls-client-ca: \S+ is empty$/],
      [{ ca: "\n" }, /^--tls-client-ca: \S+ holds no certificate in PEM format$/],
      [{ ca: "none yet" }, /holds no certificate/],
      [{ ca: authority.key }, /holds no certificate/],
      [{ ca: authority.cert.slice(0, 300) }, /ends within a PEM block$/],
      [{ ca: authority.cert.slice(0, 15) }, /ends within a PEM block$/],
      [{ ca: chain.slice(0, -40) }, /ends within a PEM block$/],
      [{ ca: authority.cert.slice(0, 300) + other.cert }, /certificate 1 of 1 cannot be parsed$/],
      [{ ca: authority.cert + wrong(other.cert) }, /certificate 2 of 2 cannot be parsed$/],
      [{ ca: authority.cert + authority.key }, /holds PEM blocks that are not certificates$/],
      [{ ca: "\0".repeat(5) }, /holds no certificate/],
      [{ cert: "" }, /^--tls-cert: \S+ is empty$/],
      [{ cert: "none yet" }, /^--tls-cert: \S+ holds no certificate/],
      [{ cert: cert.slice(0, 200) }, /^--tls-cert: \S+ ends within a PEM block$/],
      [{ cert: cert + authority.cert.slice(0, 200) }, /^--tls-cert: \S+ ends within a PEM block$/],
      [{ cert: cert + wrong(authority.cert) }, /^--tls-cert: \S+ certificate 2 of 2 cannot be parsed$/],
      [{ key: "" }, /^--tls-key: \S+ is empty$/],
      [{ key: key.slice(0, -20) }, /^--tls-key: \S+ ends within a PEM block$/],
      [{ key: "none yet" }, /^--tls-cert and --tls-key cannot be used/],
      [{ key: wrong(key) }, /^--tls-cert and --tls-key cannot be used/],
      [{ key: authority.key }, /^--tls-cert and --tls-key cannot be used/],
    ];
    for (const [changed, message] of refused) {
      assert.throws(() => readTls(files(changed), warn), { name: "SettingError", message }, JSON.stringify(changed));
    }
    const crlf = chain.replaceAll("\n", "\r\n");
    for (const ca of [chain, `Subject: CN=a\n${chain}`, crlf]) {
      assert.deepEqual(
        readTls(files({ ca }), warn)?.clientCa?.map((one) => new X509Certificate(one).subject),
        ["CN=Authority of tests", "CN=Other"],
      );
    }
    assert.equal(readTls(files({ cert: key + cert + authority.cert }), warn)?.key, key, "a key beside the certificate");
  });

  it("are warned of where others may read the key", function () {
    if (process.platform === "win32") {
      console.log("      no modes of files on Windows: not tried");
      this.skip();
    }
    const { cert, key } = makeAuthority().issue("server");
    const settings = { ...defaultSettings(), tlsCert: file("c", cert), tlsKey: file("k", key) };
    for (const [mode, expected] of [
      [0o600, []],
      [0o644, ["--tls-key: other users may read the file: chmod 600"]],
    ] as const) {
      warnings.length = 0;
      chmodSync(settings.tlsKey, mode);
      readTls(settings, warn);
      assert.deepEqual(warnings, expected);
    }
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
