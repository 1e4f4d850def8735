import assert from "node:assert/strict";
import { actingUser, callerFromMetadata, namedUser } from "../../../src/service/caller.js";

const refused = (reason: string, metadata: Record<string, string>) => ({ name: "PresenceError", reason, metadata });

describe("service: who calls (S20)", () => {
  const ann = { userId: "ann" };
  const nobody = { userId: undefined };

  it("S20 believes the metadata, or the request, and both where they agree", () => {
    assert.equal(actingUser(ann, ""), "ann");
    assert.equal(actingUser(nobody, "ann"), "ann");
    assert.equal(actingUser(ann, "ann"), "ann");
  });

  it("S20 refuses to act for another user than the caller", () => {
    assert.throws(() => actingUser(ann, "bob"), refused("NOT_ALLOWED", { user_id: "bob" }));
  });

  it("S13 S20 lets anybody ask about any user", () => {
    assert.equal(namedUser(ann, "bob"), "bob");
    assert.equal(namedUser(ann, ""), "ann");
    assert.equal(namedUser(nobody, "bob"), "bob");
  });

  it("S20 refuses a call that names nobody", () => {
    for (const who of [actingUser, namedUser]) {
      assert.throws(() => who(nobody, ""), refused("INVALID_USER_ID", { field: "user_id" }));
    }
  });

  it("S20 S21 takes a user id of the metadata by the same rules as one of a request", () => {
    assert.deepEqual(callerFromMetadata(undefined), nobody);
    assert.deepEqual(callerFromMetadata("ann"), ann);
    assert.deepEqual(callerFromMetadata("a".repeat(128)), { userId: "a".repeat(128) });
    const limit = { field: "x-user-id", limit: "128" };
    for (const tooLong of ["a".repeat(129), "é".repeat(65)]) {
      assert.throws(() => callerFromMetadata(tooLong), refused("INVALID_USER_ID", limit));
    }
    assert.throws(() => callerFromMetadata(""), refused("INVALID_USER_ID", limit));
    for (const control of ["a\tb", "\u0000", "a\u007f", "\u0085"]) {
      assert.throws(() => callerFromMetadata(control), refused("INVALID_USER_ID", limit));
    }
    for (const several of ["a, b", ", ", "a, "]) {
      assert.throws(() => callerFromMetadata(several), refused("INVALID_USER_ID", limit));
    }
    for (const one of ["a,b", "a b", ","]) assert.deepEqual(callerFromMetadata(one), { userId: one });
    for (const half of ["\uD800", "a\uDC00"]) {
      assert.throws(() => callerFromMetadata(half), refused("INVALID_USER_ID", limit));
    }
  });
});
