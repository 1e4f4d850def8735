import assert from "node:assert/strict";
import { ErrorReason } from "../../../gen/presence/v1/error_reason_pb.js";
import { invalidField, PresenceError, REASONS } from "../../../src/model/errors.js";

describe("model: errors", () => {
  it("S22 knows exactly the reasons of the contract", () => {
    const contract = Object.keys(ErrorReason).filter((name) => Number.isNaN(Number(name)) && name !== "UNSPECIFIED");
    assert.deepEqual([...REASONS].sort(), contract.sort());
  });

  it("S22 names the field in every refusal of an argument", () => {
    const error = invalidField("INVALID_USER_ID", "user_id", "is too long", { limit: "128" });
    assert.ok(error instanceof PresenceError);
    assert.equal(error.message, "user_id: is too long");
    assert.deepEqual(error.metadata, { field: "user_id", limit: "128" });
    assert.deepEqual(error.violations, [{ field: "user_id", description: "is too long", reason: "INVALID_USER_ID" }]);
  });

  it("has nothing but the reason where nothing else is given", () => {
    const error = new PresenceError("INTERNAL", "oh");
    const { metadata, violations, retryAfterMs, currentState } = error;
    assert.deepEqual(
      { metadata, violations, retryAfterMs, currentState },
      {
        metadata: {},
        violations: [],
        retryAfterMs: undefined,
        currentState: undefined,
      },
    );
  });
});
