import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import { invalidField, PresenceError, REASONS, type Reason } from "../../../src/model/errors.js";
import { ERROR_DOMAIN, toServiceError } from "../../../src/rpc/status.js";
import { property } from "../../support/property.js";

/** The table of S22, by code. */
const CODES: Record<string, readonly Reason[]> = {
  NOT_FOUND: ["PRESENCE_USER_NOT_EXIST", "SESSION_NOT_FOUND"],
  INVALID_ARGUMENT: [
    "INVALID_ARGUMENT",
    "INVALID_CHANNEL_NAME",
    "INVALID_CHANNEL_TYPE",
    "INVALID_USER_ID",
    "INVALID_STATE_KEY",
    "STATE_KEY_SIZE_OVERFLOW",
    "STATE_VALUE_SIZE_OVERFLOW",
    "INVALID_PAGE_TOKEN",
  ],
  FAILED_PRECONDITION: [
    "STATE_COUNT_OVERFLOW",
    "STATE_SIZE_OVERFLOW",
    "CACHED_TOO_MANY_STATES",
    "TOO_MANY_CHANNELS",
    "TOO_MANY_SESSIONS",
  ],
  ABORTED: ["STATE_REVISION_MISMATCH", "SAME_USER_REPLACED"],
  RESOURCE_EXHAUSTED: ["RATE_LIMITED", "QUOTA_EXCEEDED"],
  UNAUTHENTICATED: ["NOT_AUTHENTICATED", "TOKEN_EXPIRED"],
  PERMISSION_DENIED: ["NOT_ALLOWED"],
  UNAVAILABLE: ["PRESENCE_OUT_OF_SERVICE", "SERVER_DRAINING", "SUBSCRIBER_TOO_SLOW", "SERVER_OVERLOADED"],
  UNIMPLEMENTED: ["NOT_IMPLEMENTED"],
  INTERNAL: ["INTERNAL"],
};

function richOf(error: ServiceError) {
  const rich = fromBinary(StatusSchema, error.metadata.get("grpc-status-details-bin")[0] as Buffer);
  const [info, ...others] = rich.details;
  return { ...rich, info: anyUnpack(info!, ErrorInfoSchema), others };
}

/** About the bytes that the trailers take on the wire. */
function trailerBytes(error: ServiceError): number {
  const [details] = error.metadata.get("grpc-status-details-bin") as Buffer[];
  return details!.toString("base64").length + encodeURI(error.details).length + 100;
}

describe("rpc: status", () => {
  it("S22 gives every reason the code of the table", () => {
    assert.deepEqual(Object.values(CODES).flat().sort(), [...REASONS].sort());
    for (const [code, reasons] of Object.entries(CODES)) {
      for (const reason of reasons) {
        const error = toServiceError(new PresenceError(reason, "because"));
        assert.equal(status[error.code], code, reason);
        assert.equal(richOf(error).code, error.code);
      }
    }
  });

  it("S22 carries reason, domain and facts, and no more details than there are", () => {
    const error = toServiceError(
      new PresenceError("STATE_COUNT_OVERFLOW", "too many", { metadata: { limit: "32", actual: "33" } }),
    );
    const { message, info, others } = richOf(error);
    assert.equal(message, "too many");
    assert.equal(error.details, "too many");
    assert.equal(info?.reason, "STATE_COUNT_OVERFLOW");
    assert.equal(info?.domain, "presence.v1");
    assert.equal(ERROR_DOMAIN, "presence.v1");
    assert.deepEqual({ ...info?.metadata }, { limit: "32", actual: "33" });
    assert.deepEqual(others, []);
  });

  it("S22 names the fields that are wrong", () => {
    const { others } = richOf(toServiceError(invalidField("INVALID_USER_ID", "user_id", "is too long")));
    const [violation, ...more] = anyUnpack(others[0]!, BadRequestSchema)!.fieldViolations;
    assert.deepEqual(more, []);
    const { field, description, reason } = violation!;
    assert.deepEqual([field, description, reason], ["user_id", "is too long", "INVALID_USER_ID"]);
  });

  it("S22 says when to come back", () => {
    const { others } = richOf(toServiceError(new PresenceError("RATE_LIMITED", "slow down", { retryAfterMs: 1250 })));
    const { retryDelay } = anyUnpack(others[0]!, RetryInfoSchema)!;
    assert.deepEqual([retryDelay?.seconds, retryDelay?.nanos], [1n, 250_000_000]);
  });

  it("S14 brings the current state, without its pairs where they are too many for trailers", () => {
    const currentState = { userId: "ann", states: { mood: "fine" }, revision: 9, updateTime: 5, joinTime: 2 };
    const small = toServiceError(new PresenceError("STATE_REVISION_MISMATCH", "no", { currentState }));
    const state = anyUnpack(richOf(small).others[0]!, UserStateSchema)!;
    assert.deepEqual({ ...state.states }, { mood: "fine" });
    assert.equal(state.revision, 9n);

    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i.toString(36), "x"]));
    for (const states of [{ mood: "x".repeat(4097) }, many]) {
      const large = toServiceError(
        new PresenceError("STATE_REVISION_MISMATCH", "no", { currentState: { ...currentState, states } }),
      );
      const cut = anyUnpack(richOf(large).others[0]!, UserStateSchema)!;
      assert.deepEqual({ ...cut.states }, {});
      assert.equal(cut.revision, 9n);
    }
  });

  it("tells nobody what failed inside", () => {
    const error = toServiceError(new Error("the password is 1234"));
    assert.equal(error.code, status.INTERNAL);
    assert.ok(!JSON.stringify(error).includes("1234") && !error.details.includes("1234"));
    assert.equal(richOf(error).info?.reason, "INTERNAL");
  });

  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 5000 }), fc.constant("漢".repeat(5000)));
  const field = fc.record({ field: text, description: text, reason: fc.constantFrom(...REASONS) });
  const refusals = fc.record({
    message: text,
    metadata: fc.record({ user_id: text, channel: text }),
    violations: fc.array(field, { maxLength: 20 }),
  });
  const states = fc.dictionary(fc.string({ maxLength: 64 }), text, { maxKeys: 32 });

  property("stays below 8 KiB of trailers, whatever callers sent", [refusals, states], (refusal, states) => {
    const { message, metadata, violations } = refusal;
    const currentState = { userId: "漢".repeat(42), states, revision: 2 ** 53 - 1, updateTime: 1e13, joinTime: 1e13 };
    const ofField = new PresenceError("INVALID_ARGUMENT", message, { metadata, violations, retryAfterMs: 1e9 });
    const ofState = new PresenceError("STATE_REVISION_MISMATCH", message, { metadata, currentState });
    for (const error of [ofField, ofState].map(toServiceError)) {
      const bytes = trailerBytes(error);
      assert.ok(bytes < 8192, `${bytes} bytes`);
      richOf(error);
    }
  });

  it("stays below 8 KiB of trailers at its very worst", () => {
    const long = "漢".repeat(5000);
    const violation = { field: long, description: long, reason: "STATE_VALUE_SIZE_OVERFLOW" as const };
    const error = new PresenceError("STATE_VALUE_SIZE_OVERFLOW", long, {
      metadata: { field: long, limit: long, user_id: long },
      violations: Array(100).fill(violation),
      retryAfterMs: 1e9,
    });
    const worst = toServiceError(error);
    assert.ok(trailerBytes(worst) < 8192, `${trailerBytes(worst)} bytes`);
    const { fieldViolations } = anyUnpack(richOf(worst).others[0]!, BadRequestSchema)!;
    assert.equal(fieldViolations.length, 8);
    assert.match(fieldViolations[0]!.field, /^漢+…$/);
  });
});
