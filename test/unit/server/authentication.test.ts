import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { authentication } from "../../../src/server/authentication.js";
import { defaultSettings, type ServerSettings } from "../../../src/server/settings.js";
import type { Caller, ClientCertificate } from "../../../src/service/caller.js";
import { hs256, keyPair, rs256, SECRET } from "../../support/tokens.js";

const NOW = Date.now();

/** What a call brings along. */
interface Brings {
  readonly token?: string;
  readonly userId?: string;
  readonly certificate?: ClientCertificate;
}

describe("server: authentication (S20)", () => {
  let folder: string;
  const warnings: string[] = [];
  beforeEach(() => {
    warnings.length = 0;
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-auth-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (text: string): string => {
    const where = path.join(folder, "file");
    writeFileSync(where, text);
    return where;
  };

  function asking(settings: Partial<ServerSettings>): (brings: Brings) => Promise<Caller> {
    const log = pino({ level: "silent" });
    const { authenticate } = authentication({
      settings: { ...defaultSettings(), ...settings },
      now: () => NOW,
      log,
      warn: (setting, why) => warnings.push(`${setting}: ${why}`),
      onKeysChanged: () => {},
    });
    return async ({ token, userId, certificate }) =>
      authenticate({
        authorization: () => (token === undefined ? undefined : `Bearer ${token}`),
        userId: () => userId,
        certificate: () => certificate,
      });
  }

  const NOT_AUTHENTICATED = { reason: "NOT_AUTHENTICATED" };

  it("believes callers where nothing is asked for, with a token or without", async () => {
    assert.deepEqual(await asking({})({ userId: "ann", token: "nonsense" }), { userId: "ann" });
    assert.deepEqual(await asking({})({}), { userId: undefined });
  });

  it("reads a secret or a public key from a file", async () => {
    for (const text of [SECRET, `${SECRET}\n`, `${SECRET}\r\n`]) {
      assert.equal((await asking({ tokenSecretFile: file(text) })({ token: hs256() })).userId, "tony");
    }
    const { publicPem, privateKey } = keyPair("rsa");
    const ask = asking({ tokenKeyFile: file(publicPem) });
    assert.equal((await ask({ token: rs256({}, privateKey) })).userId, "tony");
  });

  it("warns of a secret that is weak, or in a file that others may read", () => {
    const where = file(SECRET);
    chmodSync(where, 0o600);
    asking({ tokenSecretFile: where });
    asking({ tokenSecret: SECRET });
    assert.deepEqual(warnings, []);
    asking({ tokenSecret: "password".repeat(4) });
    assert.match(warnings.join("\n"), /^ROLLCALL_TOKEN_SECRET: the secret repeats itself/);
    if (process.platform === "win32") return;
    warnings.length = 0;
    chmodSync(where, 0o640);
    asking({ tokenSecretFile: where });
    assert.match(warnings.join("\n"), /^--token-secret-file: other users may read the file/);
  });

  it("pins the algorithms that are given", async () => {
    const { publicPem, privateKey } = keyPair("rsa");
    const ask = asking({ tokenKeyFile: file(publicPem), tokenAlgorithms: "PS256, RS512" });
    await assert.rejects(ask({ token: rs256({}, privateKey) }), NOT_AUTHENTICATED);
  });

  it("says which setting is no good, and never what the secret is", () => {
    const fails = (settings: Partial<ServerSettings>, message: RegExp) =>
      assert.throws(
        () => asking(settings),
        (error: Error) =>
          error.name === "SettingError" && message.test(error.message) && !error.message.includes("hush"),
      );
    fails({ tokenSecret: "hush" }, /^ROLLCALL_TOKEN_SECRET: the secret has 4 bytes; 32 or more are needed$/);
    fails({ tokenSecretFile: file("hush") }, /^--token-secret-file: the secret has 4 bytes/);
    fails({ tokenSecretFile: path.join(folder, "none") }, /^--token-secret-file: .*none cannot be read \(ENOENT\)$/);
    fails({ tokenKeyFile: file("hush") }, /^--token-key-file: the key is neither PEM nor a JWK/);
    fails({ tokenSecret: SECRET, tokenAlgorithms: "none" }, /^ROLLCALL_TOKEN_SECRET: algorithm none does not fit/);
  });

  it("takes a certificate's name where that is asked for, for as long as it is valid", async () => {
    const ask = asking({ identityFromCert: true });
    const certificate = { name: "tony", expiresAt: NOW + 1 };
    const { userId, grant } = await ask({ certificate, userId: "ann" });
    assert.deepEqual([userId, grant?.app, grant?.actAs, grant?.expiresAt], ["tony", "", [], NOW + 1]);
    await assert.rejects(ask({ certificate: { ...certificate, expiresAt: NOW } }), { reason: "TOKEN_EXPIRED" });
    await assert.rejects(ask({ userId: "ann" }), NOT_AUTHENTICATED);
    for (const name of ["", "a\u0001b", "a".repeat(129)]) {
      await assert.rejects(ask({ certificate: { ...certificate, name } }), NOT_AUTHENTICATED);
    }
    await assert.rejects(asking({ tokenSecret: SECRET })({ certificate }), NOT_AUTHENTICATED);
  });
});
