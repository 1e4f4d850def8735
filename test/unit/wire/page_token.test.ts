import assert from "node:assert/strict";
import fc from "fast-check";
import { PageTokens } from "../../../src/wire/page_token.js";
import { property } from "../../support/property.js";

const REFUSED = { name: "PresenceError", reason: "INVALID_PAGE_TOKEN" };
const text = fc.string({ unit: "binary", maxLength: 40 });

describe("wire: page tokens (S19)", () => {
  const tokens = new PageTokens();

  property("bring the cursor back for the same query", [text, text], (query, cursor) => {
    const token = tokens.seal(query, cursor);
    assert.match(token, /^[A-Za-z0-9_-]+$/);
    assert.equal(tokens.open(query, token), cursor);
  });

  property("are refused for another query", [text, text, text], (query, other, cursor) => {
    fc.pre(query !== other);
    assert.throws(() => tokens.open(other, tokens.seal(query, cursor)), REFUSED);
  });

  property(
    "are refused when a character is another one",
    [text, text, fc.nat(), fc.nat(61)],
    (query, cursor, at, to) => {
      const token = tokens.seal(query, cursor);
      const index = at % token.length;
      const character = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[to]!;
      fc.pre(token[index] !== character);
      const altered = token.slice(0, index) + character + token.slice(index + 1);
      assert.throws(() => tokens.open(query, altered), REFUSED);
    },
  );

  property("are refused when cut short or made longer", [text, text, fc.nat(), text], (query, cursor, length, more) => {
    const token = tokens.seal(query, cursor);
    assert.throws(() => tokens.open(query, token.slice(0, length % token.length)), REFUSED);
    fc.pre(more !== "");
    assert.throws(() => tokens.open(query, token + more), REFUSED);
    assert.throws(() => tokens.open(query, more + token), REFUSED);
  });

  it("are refused in another spelling of the same bytes", () => {
    // 13 bytes leave four bits unused in the last character, and Base64 has a second alphabet, and padding.
    const token = tokens.seal("q", "c");
    const last = token.at(-1)!;
    const others = ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
      .flatMap((alphabet) => [...alphabet])
      .filter((character) => character !== last)
      .map((character) => token.slice(0, -1) + character);
    const spellings = others.filter((other) => Buffer.from(other, "base64url").equals(Buffer.from(token, "base64url")));
    assert.ok(spellings.length > 0);
    for (const spelling of [...spellings, `${token}==`, ` ${token}`, `${token}\n`]) {
      assert.throws(() => tokens.open("q", spelling), REFUSED, JSON.stringify(spelling));
    }
  });

  it("are refused when another server made them", () => {
    assert.throws(() => tokens.open("q", new PageTokens().seal("q", "c")), REFUSED);
  });

  property("are refused when somebody made them up", [fc.string()], (token) => {
    assert.throws(() => tokens.open("q", token), { ...REFUSED, metadata: { field: "page_token" } });
  });

  it("do not confuse where the query ends with where the cursor begins", () => {
    const mac = Buffer.from(tokens.seal("a b", "c"), "base64url").subarray(0, -1);
    const forged = Buffer.concat([mac, Buffer.from("b c")]).toString("base64url");
    assert.throws(() => tokens.open("a", forged), REFUSED);
  });
});
