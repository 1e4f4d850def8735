import assert from "node:assert/strict";
import fc from "fast-check";
import { allows, allowsAnywhere, type Grant, matches } from "../../../src/model/grant.js";
import { property } from "../../support/property.js";

describe("model: grants (S20)", () => {
  const grant: Grant = {
    app: "",
    channels: [
      { pattern: "room:*", allow: ["subscribe", "read"] },
      { pattern: "room:7", allow: ["write"] },
    ],
    actAs: [],
    expiresAt: undefined,
  };

  it("a pattern is a name, or what names begin with", () => {
    assert.deepEqual(
      ["room", "room:", "room:7", "room:77", "Room:7"].filter((name) => matches({ pattern: "room:7" }, name)),
      ["room:7"],
    );
    assert.deepEqual(
      ["room", "room:", "room:7", "aroom:7"].filter((name) => matches({ pattern: "room:*" }, name)),
      ["room:", "room:7"],
    );
    assert.ok(matches({ pattern: "*" }, "") && matches({ pattern: "*" }, "anything"));
    assert.ok(
      matches({ pattern: "a*b" }, "a*b") && !matches({ pattern: "a*b" }, "axb"),
      "only a star at the end stands for anything",
    );
    assert.ok(!matches({ pattern: "" }, "a"));
  });

  property("no name but its own is matched by a pattern without a star", [fc.string(), fc.string()], (name, other) => {
    fc.pre(!name.endsWith("*"));
    assert.equal(matches({ pattern: name }, other), name === other);
  });

  property("a name is itself alone, whatever it holds", [fc.string(), fc.string()], (name, other) => {
    assert.equal(matches({ name }, other), name === other);
    assert.ok(matches({ name: `${name}*` }, `${name}*`) && !matches({ name: `${name}*` }, `${name}x`));
  });

  it("rights of several entries add up, and what none gives is not there", () => {
    assert.ok(allows(grant, "write", "room:7") && allows(grant, "read", "room:7"));
    assert.ok(!allows(grant, "write", "room:8") && !allows(grant, "read", "hall"));
    assert.ok(allowsAnywhere(grant, "write") && !allowsAnywhere(grant, "query"));
  });
});
