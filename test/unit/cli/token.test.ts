import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { jwtVerify } from "jose";
import { DEV_SECRET } from "../../../src/auth/dev_secret.js";
import { userOf } from "../../../src/cli/options.js";
import { SECRET } from "../../support/tokens.js";
import { rollcall } from "./fake_io.js";

const claimsOf = async (token: string, secret: string) =>
  (await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ["HS256"] })).payload;

describe("rollcall token", () => {
  it("prints a token for an hour, and nothing else", async () => {
    const { code, out, err } = await rollcall(["token", "--user", "tony", "--dev-secret"]);
    assert.deepEqual([code, out.length, err], [0, 1, []]);
    const { sub, exp, iat, presence } = await claimsOf(out[0]!, DEV_SECRET);
    assert.deepEqual([sub, presence], ["tony", undefined]);
    assert.ok(Math.abs(exp! - iat! - 3600) <= 1);
  });

  it("says in it what it is told", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-token-"));
    try {
      const file = path.join(folder, "secret.txt");
      writeFileSync(file, `${SECRET}\n`);
      const rights = ["--allow", "room:*=subscribe,write", "--allow", "a=b=read", "--act-as", "bot-*", "--act-as", "x"];
      rights.push("--allow-name", "eve*=read,write", "--act-as-name", "bot*");
      const about = ["--app", "chat", "--expires", "2d", "--issuer", "i", "--audience", "a", "--secret-file", file];
      const { out } = await rollcall(["token", "-u", "tony", ...rights, ...about]);
      const { presence, exp, iat, iss, aud } = await claimsOf(out[0]!, SECRET);
      assert.deepEqual(presence, {
        app: "chat",
        channels: [
          { pattern: "room:*", allow: ["subscribe", "write"] },
          { pattern: "a=b", allow: ["read"] },
          { name: "eve*", allow: ["read", "write"] },
        ],
        act_as: ["bot-*", "x", { name: "bot*" }],
      });
      assert.ok(Math.abs(exp! - iat! - 2 * 86_400) <= 1);
      assert.deepEqual([iss, aud], ["i", "a"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const refused: readonly [string, string[], RegExp][] = [
    ["no user", ["--dev-secret"], /--user/],
    ["no secret", ["--user", "tony"], /--secret-file PATH or --dev-secret/],
    ["two secrets", ["--user", "tony", "--dev-secret", "--secret-file", "x"], /--secret-file PATH or --dev-secret/],
    ["a secret that is not there", ["--user", "tony", "--secret-file", "/none/such"], /cannot be read \(ENOENT\)/],
    ["an unknown right", ["--user", "tony", "--dev-secret", "--allow", "*=fly"], /subscribe, write, read, query, feed/],
    ["half a character", ["--user", "a\uD800", "--dev-secret"], /sub: is not a user id/],
    ["a secret that is a folder", ["--user", "tony", "--secret-file", "/"], /--secret-file: \/ is not a regular file/],
    ["no pattern", ["--user", "tony", "--dev-secret", "--allow", "read"], /PATTERN=RIGHT/],
    ["no time", ["--user", "tony", "--dev-secret", "--expires", "soon"], /such as 90s/],
    ["too long a time", ["--user", "tony", "--dev-secret", "--expires", "366d"], /365d/],
    ["no user id", ["--user", "a\u0001b", "--dev-secret"], /sub: is not a user id/],
  ];
  for (const [what, args, says] of refused) {
    it(`refuses ${what}, with code 2`, async () => {
      const { code, out, err } = await rollcall(["token", ...args]);
      assert.deepEqual([code, out], [2, []]);
      assert.match(err.join("\n"), says);
    });
  }

  it("its user is who the other commands act for, unless they are told otherwise", async () => {
    const { out } = await rollcall(["token", "--user", "tony", "--dev-secret"]);
    const flags = { address: "", timeout: 1, token: out[0]! };
    assert.equal(userOf(flags), "tony");
    assert.equal(userOf({ ...flags, user: "anna" }), "anna");
    assert.equal(userOf({ ...flags, token: "nonsense" }), userOf({ address: "", timeout: 1 }));
  });
});
