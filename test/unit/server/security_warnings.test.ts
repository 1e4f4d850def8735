import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { warnOfExposure, warnOfWeakSecret } from "../../../src/server/security_warnings.js";
import { defaultSettings, type ServerSettings } from "../../../src/server/settings.js";
import { SECRET } from "../../support/tokens.js";

describe("server: warnings of what is not safe everywhere", () => {
  let warnings: string[];
  const warn = (setting: string, why: string): void => void warnings.push(`${setting}: ${why}`);
  beforeEach(() => {
    warnings = [];
  });

  const everywhere = { host: "0.0.0.0", port: 1 };
  const tls = { tlsCert: "c", tlsKey: "k" };
  const named = { tokenIssuer: "i", tokenAudience: "a" };
  const cases: readonly [string, Partial<ServerSettings>, readonly RegExp[]][] = [
    ["the defaults", {}, []],
    ["tokens on loopback", { tokenSecret: "s" }, []],
    ["tokens in plain text", { tokenSecret: "s", listen: everywhere }, [/^--listen: tokens cross the network/]],
    ["encrypted tokens", { tokenSecret: "s", listen: everywhere, ...tls }, []],
    ["metrics on loopback", { metrics: { host: "::1", port: 1 } }, []],
    ["metrics for all", { metrics: everywhere }, [/^--metrics: other machines can read/]],
    ["a JWKS for one service", { tokenJwks: "https://i/k", ...named }, []],
    ["a JWKS without audience", { tokenJwks: "https://i/k", tokenIssuer: "i" }, [/--token-audience$/]],
    ["a JWKS without issuer", { tokenJwks: "https://i/k", tokenAudience: "a" }, [/--token-issuer$/]],
    ["a JWKS alone", { tokenJwks: "https://i/k" }, [/--token-issuer$/, /--token-audience$/]],
  ];
  for (const [what, settings, expected] of cases) {
    it(`${expected.length === 0 ? "none of" : "of"} ${what}`, () => {
      warnOfExposure({ ...defaultSettings(), ...settings }, warn);
      assert.equal(warnings.length, expected.length, warnings.join());
      for (const [index, pattern] of expected.entries()) assert.match(warnings[index]!, pattern);
    });
  }

  it("of secrets that repeat themselves or have few different characters, and of no others", () => {
    for (const weak of [
      "a".repeat(64),
      "ab".repeat(32),
      "0123456789abcdef".repeat(2),
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    ]) {
      warnOfWeakSecret("flag", weak, warn);
      assert.equal(warnings.splice(0).length, 1, weak);
    }
    const digits = (base: number) => Array.from({ length: 32 }, () => randomInt(base).toString(base)).join("");
    const random = Array.from({ length: 300 }, () => [
      randomBytes(32).toString("base64"),
      digits(16),
      digits(36),
    ]).flat();
    for (const good of [SECRET, ...random]) {
      warnOfWeakSecret("flag", good, warn);
      assert.deepEqual(warnings, [], good);
    }
  });
});
