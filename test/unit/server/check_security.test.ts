import assert from "node:assert/strict";
import { checkSecurity } from "../../../src/server/check_security.js";
import { defaultSettings, type ServerSettings } from "../../../src/server/settings.js";

const everywhere = { listen: { host: "0.0.0.0", port: 50051 } };
const tls = { tlsCert: "cert.pem", tlsKey: "key.pem" };
const mutual = { ...tls, tlsClientCa: "ca.pem" };

const check = (settings: Partial<ServerSettings>): void => checkSecurity({ ...defaultSettings(), ...settings });

describe("server: settings of security, against each other (S20)", () => {
  it("listens beyond this machine once callers show who they are", () => {
    for (const source of [
      { tokenSecret: "s" },
      { tokenSecretFile: "f" },
      { tokenKeyFile: "f" },
      { tokenJwks: "https://issuer/jwks" },
      { ...mutual, identityFromCert: true },
    ]) {
      check({ ...everywhere, ...source });
    }
  });

  it("writes an IPv6 address in brackets", () => {
    for (const more of [{}, { devSecret: true }])
      assert.throws(
        () => check({ listen: { host: "::", port: 55243 }, ...more }),
        /^SettingError: --listen \[::\]:55243 is/,
      );
  });

  const refused: readonly [string, Partial<ServerSettings>, RegExp][] = [
    ["certificates that name nobody are no authentication", { ...everywhere, ...mutual }, /callers are believed/],
    ["encryption alone is no authentication", { ...everywhere, ...tls }, /callers are believed/],
    ["the development secret is for this machine", { ...everywhere, devSecret: true }, /anybody can make tokens/],
    [
      "one source of keys",
      { tokenSecret: "s", tokenKeyFile: "f" },
      /ROLLCALL_TOKEN_SECRET and --token-key-file: give one/,
    ],
    ["a secret beside the development secret", { tokenSecretFile: "f", devSecret: true }, /give one of them/],
    ["trust or tokens", { trustCallers: true, tokenSecret: "s" }, /--trust-callers believes everybody/],
    ["an issuer without tokens", { tokenIssuer: "i" }, /--token-issuer says what tokens must be/],
    ["keys over plain text", { tokenJwks: "http://issuer/jwks" }, /--token-jwks is not an https: URL/],
    ["keys from a file", { tokenJwks: "file:///etc/keys" }, /--token-jwks is not an https: URL/],
    ["keys from nowhere", { tokenJwks: "nonsense" }, /--token-jwks is not an https: URL/],
    ["a certificate without key", { tlsCert: "c" }, /--tls-cert and --tls-key belong together/],
    ["a key without certificate", { tlsKey: "k" }, /--tls-cert and --tls-key belong together/],
    ["client certificates without TLS", { tlsClientCa: "ca" }, /--tls-client-ca asks for certificates/],
    ["names of certificates nobody asks for", { ...tls, identityFromCert: true }, /needs --tls-client-ca/],
  ];
  for (const [name, settings, message] of refused) {
    it(`refuses: ${name}`, () => assert.throws(() => check(settings), { name: "SettingError", message }));
  }

  it("takes keys over plain text from this machine", () => {
    for (const host of ["127.0.0.1:8080", "localhost", "[::1]:1"]) check({ tokenJwks: `http://${host}/jwks` });
  });

  it("never repeats a secret", () => {
    assert.throws(
      () => check({ tokenSecret: "hush", devSecret: true }),
      (error: Error) => !error.message.includes("hush"),
    );
  });
});
