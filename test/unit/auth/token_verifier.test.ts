import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { type KeySource, type Keys, loadKeys } from "../../../src/auth/keys.js";
import { mintToken } from "../../../src/auth/mint.js";
import { TokenVerifier, type TokenVerifierOptions } from "../../../src/auth/token_verifier.js";
import { PresenceError } from "../../../src/model/errors.js";
import { allows } from "../../../src/model/grant.js";
import { startJwksServer } from "../../support/jwks_server.js";
import { eddsa, es256, goodClaims, hs256, keyPair, rs256, SECRET, unsecured } from "../../support/tokens.js";

const rsa = keyPair("rsa");
const bySecret: KeySource = { kind: "secret", secret: SECRET };

describe("auth: verifying tokens (S20)", () => {
  let refused: string[];
  let now: number;
  beforeEach(() => {
    [refused, now] = [[], Date.now()];
  });

  function verifier(source: KeySource = bySecret, more: Partial<TokenVerifierOptions> = {}): TokenVerifier {
    return new TokenVerifier({
      keys: loadKeys(source),
      issuer: undefined,
      audience: undefined,
      leewayMs: 5000,
      maxLifeMs: 86_400_000,
      now: () => now,
      onRefused: (why) => refused.push(why),
      ...more,
    });
  }

  const verify = async (of: TokenVerifier, token: string) => of.verify(`Bearer ${token}`);

  /** Asserts that a token is refused with nothing but this reason, and tells what the log is told. */
  async function refusal(of: TokenVerifier, authorization: string | undefined, reason = "NOT_AUTHENTICATED") {
    refused = [];
    const error = await Promise.resolve()
      .then(() => of.verify(authorization))
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PresenceError, `not refused: ${JSON.stringify(error)}`);
    assert.equal(error.reason, reason);
    assert.deepEqual([error.metadata, error.violations], [{}, []]);
    assert.equal(refused.length, 1);
    return { message: error.message, why: refused[0]! };
  }

  it("takes the subject for the user, with what everybody is granted", async () => {
    const { userId, grant } = await verify(verifier(), hs256());
    assert.deepEqual([userId, grant.app, grant.actAs], ["tony", "", []]);
    assert.deepEqual(grant.channels, [{ pattern: "*", allow: ["subscribe", "write", "read"] }]);
  });

  it("takes what mintToken makes, claim and all", async () => {
    const presence = { app: "chat", channels: [{ pattern: "room:*", allow: ["read" as const] }], act_as: ["bot-*"] };
    const token = await mintToken({
      userId: "tony",
      presence,
      lifeMs: 60_000,
      secret: SECRET,
      issuer: "i",
      audience: "a",
    });
    const { userId, grant } = await verify(verifier(bySecret, { issuer: "i", audience: "a" }), token);
    assert.deepEqual(
      [userId, grant.app, grant.channels, grant.actAs],
      ["tony", "chat", presence.channels, [{ pattern: "bot-*" }]],
    );
    assert.ok(grant.expiresAt! > now + 60_000 && grant.expiresAt! <= now + 66_000);
  });

  it("refuses every kind of bad token, each in the same words", async () => {
    const strict = verifier(bySecret, { issuer: "https://issuer", audience: "rollcall" });
    const claims = goodClaims({ iss: "https://issuer", aud: ["rollcall", "other"] });
    const good = hs256({ claims });
    await verify(strict, good);
    const [header, payload, signature] = good.split(".") as [string, string, string];
    const soon = Math.floor(now / 1000) + 600;
    const forgedPayload = Buffer.from(JSON.stringify({ ...claims, sub: "admin" })).toString("base64url");
    const bad: Readonly<Record<string, string | undefined>> = {
      missing: undefined,
      empty: "",
      "another scheme": `Basic ${good}`,
      "no scheme": good,
      "wrong key": `Bearer ${hs256({ claims }, "another secret, just as long as that")}`,
      "forged payload": `Bearer ${header}.${forgedPayload}.${signature}`,
      truncated: `Bearer ${good.slice(0, -5)}`,
      "without its signature": `Bearer ${header}.${payload}.`,
      "two parts": `Bearer ${header}.${payload}`,
      none: `Bearer ${unsecured({ claims })}`,
      "none, with a signature": `Bearer ${hs256({ header: { alg: "none" }, claims })}`,
      "another algorithm": `Bearer ${hs256({ header: { alg: "HS512" }, claims })}`,
      "not yet valid": `Bearer ${hs256({ claims: { ...claims, nbf: soon } })}`,
      "wrong issuer": `Bearer ${hs256({ claims: { ...claims, iss: "https://other" } })}`,
      "no issuer": `Bearer ${hs256({ claims: { ...claims, iss: undefined } })}`,
      "wrong audience": `Bearer ${hs256({ claims: { ...claims, aud: "other" } })}`,
      "no audience": `Bearer ${hs256({ claims: { ...claims, aud: undefined } })}`,
      "no subject": `Bearer ${hs256({ claims: { ...claims, sub: undefined } })}`,
      "empty subject": `Bearer ${hs256({ claims: { ...claims, sub: "" } })}`,
      "a subject with control characters": `Bearer ${hs256({ claims: { ...claims, sub: "tony\u0001chat" } })}`,
      "a subject that is too long": `Bearer ${hs256({ claims: { ...claims, sub: "t".repeat(129) } })}`,
      "no expiry": `Bearer ${hs256({ claims: { ...claims, exp: undefined } })}`,
      "expiry as text": `Bearer ${hs256({ claims: { ...claims, exp: "never" } })}`,
      "an app with control characters": `Bearer ${hs256({ claims: { ...claims, presence: { app: "a\u0001b" } } })}`,
      "channels that are no list": `Bearer ${hs256({ claims: { ...claims, presence: { channels: "*" } } })}`,
      "rights that are no list": `Bearer ${hs256({ claims: { ...claims, presence: { channels: [{ pattern: "*", allow: "read" }] } } })}`,
      "too long": `Bearer ${hs256({ claims: { ...claims, more: "x".repeat(9000) } })}`,
      "not Base64": "Bearer ../../etc/passwd",
      "two spaces": `Bearer  ${good}`,
      "a tab": `Bearer\t${good}`,
      "no space": `Bearer${good}`,
      "a space before": ` Bearer ${good}`,
      "a space after": `Bearer ${good} `,
      "55,000 spaces": `Bearer ${" ".repeat(55_000)}${good}`,
      "two tokens": `Bearer ${good}, Bearer ${good}`,
      "half a character as subject": `Bearer ${hs256({ claims: { ...claims, sub: "tony\uD800" } })}`,
      "the other half": `Bearer ${hs256({ claims: { ...claims, sub: "\uDC00" } })}`,
      "half a character in the app": `Bearer ${hs256({ claims: { ...claims, presence: { app: "\uDFFF" } } })}`,
      "half a character in a pattern": `Bearer ${hs256({ claims: { ...claims, presence: { act_as: ["\uD83D*"] } } })}`,
      "a pattern that is too long": `Bearer ${hs256({ claims: { ...claims, presence: { act_as: [`${"a".repeat(129)}*`] } } })}`,
      "a name and a pattern": `Bearer ${hs256({ claims: { ...claims, presence: { channels: [{ name: "a", pattern: "a", allow: [] }] } } })}`,
      "neither name nor pattern": `Bearer ${hs256({ claims: { ...claims, presence: { channels: [{ allow: ["read"] }] } } })}`,
      "a name that is no text": `Bearer ${hs256({ claims: { ...claims, presence: { act_as: [{ name: 7 }] } } })}`,
      "no rights": `Bearer ${hs256({ claims: { ...claims, presence: { channels: [{ name: "a" }] } } })}`,
      "too many entries": `Bearer ${hs256({ claims: { ...claims, presence: { act_as: Array(101).fill("a") } } })}`,
      "valid for too long": `Bearer ${hs256({ claims: { ...claims, exp: now / 1000 + 86_400 + 60 } })}`,
      "valid for too long since it was issued": `Bearer ${hs256({ claims: { ...claims, iat: now / 1000 - 86_400 } })}`,
      "issued in the future": `Bearer ${hs256({ claims: { ...claims, iat: now / 1000 + 1e9, exp: now / 1000 + 1e9 } })}`,
      "valid for ever": `Bearer ${hs256({ claims: { ...claims, exp: 1e308 } })}`,
      "valid beyond all numbers": `Bearer ${hs256({ claims: JSON.stringify({ ...claims, exp: 7 }).replace(":7", ":1e999") })}`,
      "issued before all numbers": `Bearer ${hs256({ claims: { ...claims, iat: -1e308 } })}`,
    };
    const messages = new Set<string>();
    for (const [name, authorization] of Object.entries(bad)) {
      const { message, why } = await refusal(strict, authorization).catch((error: unknown) => {
        throw new Error(`${name}: ${error}`);
      });
      messages.add(message);
      assert.ok(why.length > 0 && why.length < 80 && !why.includes("tony") && !why.includes("eyJ"), `${name}: ${why}`);
    }
    assert.equal(messages.size, 1, "why is nobody's business but the log's");
  });

  it("says that a token has expired to its owner alone, and counts a little leeway", async () => {
    const claims = goodClaims({ exp: Math.floor(now / 1000) - 60 });
    assert.equal((await refusal(verifier(), `Bearer ${hs256({ claims })}`, "TOKEN_EXPIRED")).why, "expired");
    await refusal(verifier(), `Bearer ${hs256({ claims }, "a forger's secret of the right length")}`);
    await verify(verifier(), hs256({ claims: goodClaims({ exp: Math.floor(now / 1000) - 3 }) }));
  });

  it("verifies a token once, until it expires", async () => {
    const tokens = verifier();
    const token = hs256({ claims: goodClaims({ exp: Math.floor(now / 1000) + 10 }) });
    assert.ok(tokens.verify(`Bearer ${token}`) instanceof Promise);
    const identity = await tokens.verify(`Bearer ${token}`);
    assert.equal(tokens.verify(`Bearer ${token}`), identity, "at once, and no other");
    now += 14_000;
    assert.equal(tokens.verify(`Bearer ${token}`), identity);
    now += 2000;
    await refusal(tokens, `Bearer ${token}`, "TOKEN_EXPIRED");
    await refusal(tokens, `Bearer ${token}`, "TOKEN_EXPIRED");
  });

  it("remembers a token once, whatever is sent around it", async () => {
    const tokens = verifier();
    const token = hs256();
    const identity = await verify(tokens, token);
    for (const scheme of ["Bearer", "bearer", "BEARER", "bEaReR"]) {
      assert.equal(tokens.verify(`${scheme} ${token}`), identity, "at once, and no other");
    }
    for (let spaces = 2; spaces < 1000; spaces++) await refusal(tokens, `Bearer${" ".repeat(spaces)}${token}`);
  });

  it("takes a token of the longest life, by when it was issued or by now", async () => {
    const day = 86_400;
    const seconds = Math.floor(now / 1000);
    for (const claims of [
      { exp: seconds + day },
      { iat: seconds, exp: seconds + day },
      { iat: seconds - day + 60, exp: seconds + 60 },
      { iat: seconds + 60, exp: seconds + day },
    ]) {
      await verify(verifier(), hs256({ claims: goodClaims(claims) }));
    }
    await verify(verifier(bySecret, { maxLifeMs: 3_600_000 }), hs256({ claims: goodClaims({ exp: seconds + 3600 }) }));
    await refusal(
      verifier(bySecret, { maxLifeMs: 3_600_000 }),
      `Bearer ${hs256({ claims: goodClaims({ exp: seconds + 3700 }) })}`,
    );
  });

  it("tells a name that is meant as it is from a pattern", async () => {
    const channels = [
      { name: "eve*", allow: ["read"] },
      { pattern: "room:*", allow: ["read", "unheard of"] },
    ];
    const act_as = [{ name: "bot*" }, { pattern: "bot-*" }, "own-*", "me"];
    const { grant } = await verify(verifier(), hs256({ claims: goodClaims({ presence: { channels, act_as } }) }));
    assert.deepEqual(grant.channels, [
      { name: "eve*", allow: ["read"] },
      { pattern: "room:*", allow: ["read"] },
    ]);
    assert.deepEqual(grant.actAs, [{ name: "bot*" }, { pattern: "bot-*" }, { pattern: "own-*" }, { pattern: "me" }]);
    assert.ok(allows(grant, "read", "eve*") && !allows(grant, "read", "evelyn-private"));
  });

  it("takes a public key as PEM or JWK, RSA, P-256 or Ed25519, and pins its algorithm", async () => {
    const [ec, ed] = [keyPair("ec"), keyPair("ed25519")];
    const cases = [
      [rsa, rs256({}, rsa.privateKey)],
      [ec, es256({}, ec.privateKey)],
      [ed, eddsa({}, ed.privateKey)],
    ] as const;
    for (const [{ publicPem, publicJwk }, token] of cases) {
      for (const text of [publicPem, JSON.stringify(publicJwk)]) {
        assert.equal((await verify(verifier({ kind: "public", text }), token)).userId, "tony");
      }
    }
    await refusal(verifier({ kind: "public", text: rsa.publicPem }), `Bearer ${es256({}, ec.privateKey)}`);
    await refusal(verifier({ kind: "public", text: rsa.publicPem }), `Bearer ${rs256({}, keyPair("rsa").privateKey)}`);
  });

  it("does not take the public key for the secret of HS256", async () => {
    const { publicPem } = rsa;
    for (const secret of [publicPem, publicPem.trim(), Buffer.from(publicPem)]) {
      await refusal(verifier({ kind: "public", text: publicPem }), `Bearer ${hs256({}, secret)}`);
    }
  });

  it("refuses keys and algorithms that are no good", () => {
    const fails = (source: KeySource, message: RegExp, wanted: string[] = []) =>
      assert.throws(() => loadKeys(source, wanted), { name: "KeyError", message });
    fails({ kind: "secret", secret: "short" }, /5 bytes; 32 or more/);
    fails(bySecret, /RS256 does not fit/, ["RS256"]);
    fails(bySecret, /none does not fit/, ["none"]);
    fails({ kind: "public", text: "nonsense" }, /neither PEM nor a JWK/);
    fails({ kind: "public", text: "{nonsense" }, /neither PEM nor a JWK/);
    fails({ kind: "public", text: rsa.publicPem }, /HS256 does not fit/, ["HS256"]);
    const privatePem = rsa.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    fails({ kind: "public", text: privatePem }, /private/);
    fails({ kind: "public", text: JSON.stringify(rsa.privateKey.export({ format: "jwk" })) }, /private/);
    fails({ kind: "public", text: keyPair("rsa", 1024).publicPem }, /1024 bits; 2048/);
    fails(
      {
        kind: "jwks",
        url: "http://127.0.0.1/",
        maxAgeMs: 1,
        cooldownMs: 1,
        retryMs: 1,
        tick: () => 0,
        onFailure: () => {},
        onChange: () => {},
      },
      /HS256 does not fit/,
      ["HS256"],
    );
  });

  describe("with published keys", () => {
    let issuer: Awaited<ReturnType<typeof startJwksServer>>;
    const second = keyPair("rsa");
    const signed = (kid: string, by = rsa) => rs256({ header: { kid } }, by.privateKey);
    const published = (kid: string, by = rsa) => ({ ...by.publicJwk, kid, alg: "RS256", use: "sig" });

    beforeEach(async () => {
      issuer = await startJwksServer();
      issuer.keys = [published("1")];
      [tick, open] = [0, []];
    });
    afterEach(() => {
      for (const keys of open) keys.published?.close();
      return issuer.close();
    });

    const failures: string[] = [];
    const changed = new EventEmitter();
    let tick = 0;
    let open: Keys[];

    const publishing = (from: KeySource): TokenVerifier => {
      const keys = loadKeys(from);
      open.push(keys);
      return verifier(from, { keys });
    };
    const source = (cooldownMs = 0, maxAgeMs = 600_000, retryMs = 0): KeySource => ({
      kind: "jwks",
      url: issuer.url,
      maxAgeMs,
      cooldownMs,
      retryMs,
      tick: () => tick,
      onFailure: (why) => failures.push(why),
      onChange: () => changed.emit("change"),
    });

    it("asks for them once, and again for a key that is new", async () => {
      const tokens = publishing(source());
      await verify(tokens, signed("1"));
      await verify(tokens, rs256({ header: { kid: "1" }, claims: goodClaims({ sub: "ann" }) }, rsa.privateKey));
      assert.equal(issuer.asked, 1);
      issuer.keys = [published("2", second)];
      assert.equal((await verify(tokens, signed("2", second))).userId, "tony");
      assert.equal(issuer.asked, 2);
      await refusal(
        tokens,
        `Bearer ${rs256({ header: { kid: "1" }, claims: goodClaims({ sub: "bob" }) }, rsa.privateKey)}`,
      );
    });

    it("does not ask more often than it may, whoever makes up names of keys", async () => {
      const tokens = publishing(source(60_000));
      await verify(tokens, signed("1"));
      for (let i = 0; i < 300; i++) await refusal(tokens, `Bearer ${signed(`made up ${i}`)}`);
      assert.equal(issuer.asked, 1);
      tick += 60_000;
      for (let i = 0; i < 300; i++) await refusal(tokens, `Bearer ${signed(`made up ${i}`)}`);
      assert.equal(issuer.asked, 2);
    });

    it("goes on with the last keys while the issuer fails, and is out of service when there never were any", async () => {
      issuer.status = 503;
      const never = publishing(source());
      await refusal(never, `Bearer ${signed("1")}`, "PRESENCE_OUT_OF_SERVICE");
      assert.deepEqual(failures.splice(0), ["the answer has status 503"]);
      const patient = publishing(source(0, 0, 60_000));
      for (let i = 0; i < 3; i++) await refusal(patient, `Bearer ${signed("1")}`, "PRESENCE_OUT_OF_SERVICE");
      assert.equal(failures.splice(0).length, 1, "a failure stands for a while");
      issuer.status = 200;
      await verify(never, signed("1"));
      const old = publishing(source(0, 0));
      await verify(old, signed("1"));
      issuer.status = 503;
      await verify(old, rs256({ header: { kid: "1" }, claims: goodClaims({ sub: "ann" }) }, rsa.privateKey));
      await issuer.close();
      await verify(old, rs256({ header: { kid: "1" }, claims: goodClaims({ sub: "bob" }) }, rsa.privateKey));
      await refusal(old, `Bearer ${signed("9")}`);
      issuer = await startJwksServer();
    });

    it("does not believe a token that it remembers once its key is withdrawn", async () => {
      const tokens = publishing(source());
      issuer.keys = [published("1"), published("2", second)];
      const [first, other] = [signed("1"), signed("2", second)];
      await verify(tokens, first);
      const { grant } = await verify(tokens, other);
      const { published: keys } = open[0]!;
      issuer.keys = [published("2", second)];
      const change = once(changed, "change");
      tick += 600_000;
      await verify(tokens, rs256({ header: { kid: "2" }, claims: goodClaims({ sub: "ann" }) }, second.privateKey));
      await change;
      assert.deepEqual([keys!.isPublished(grant.keyId!), issuer.asked], [true, 2]);
      await refusal(tokens, `Bearer ${first}`);
      assert.equal((await verify(tokens, other)).userId, "tony");
    });

    it("asks again by itself, so that a key that is withdrawn is noticed though no token needs it", async () => {
      const tokens = publishing(source(0, 1000));
      const { grant } = await verify(tokens, signed("1"));
      issuer.keys = [];
      await once(changed, "change");
      assert.equal(open[0]!.published!.isPublished(grant.keyId!), false);
      await refusal(tokens, `Bearer ${signed("1")}`);
    });

    it("believes nobody any more when the issuer has not answered for an hour", async () => {
      const tokens = publishing(source());
      const token = signed("1");
      await verify(tokens, token);
      issuer.status = 503;
      tick += 3_600_000;
      await verify(tokens, token);
      tick += 1;
      await refusal(tokens, `Bearer ${token}`, "PRESENCE_OUT_OF_SERVICE");
      issuer.status = 200;
      await verify(tokens, token);
      failures.length = 0;
    });

    it("is out of service while the issuer answers with something else, or with a redirect", async () => {
      const tokens = publishing(source());
      for (const [status, body, why] of [
        [200, "<html>", "the answer is not a key set"],
        [200, "[]", "the answer is not a key set"],
        [200, '{"keys":7}', "the answer is not a key set"],
        [302, "{}", "the answer has status 302"],
      ] as const) {
        Object.assign(issuer, { status, body });
        await refusal(tokens, `Bearer ${signed("1")}`, "PRESENCE_OUT_OF_SERVICE");
        assert.deepEqual(failures.splice(0), [why]);
      }
      assert.equal(issuer.asked, 4, "a redirect is not followed");
    });

    it("takes no secret for a key, whatever the token says", async () => {
      const tokens = publishing(source());
      await refusal(tokens, `Bearer ${hs256({ header: { kid: "1" } }, rsa.publicPem)}`);
      await refusal(tokens, `Bearer ${unsecured({ header: { kid: "1" } })}`);
      const own = keyPair("rsa");
      const smuggled = rs256({ header: { jwk: own.publicJwk, jku: issuer.url } }, own.privateKey);
      await refusal(tokens, `Bearer ${smuggled}`);
    });
  });
});
