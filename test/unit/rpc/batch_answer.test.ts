import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Status } from "../../../gen/google/rpc/status_pb.js";
import { UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import {
  BatchJoinChannelResponseSchema,
  BatchSetStateResponseSchema,
} from "../../../gen/presence/v1/presence_service_pb.js";
import { PresenceError } from "../../../src/model/errors.js";
import type { UserState } from "../../../src/model/user_state.js";
import { encodeBatch } from "../../../src/rpc/batch_answer.js";
import type { EntryResult } from "../../../src/service/batch.js";
import { encodeJoined, encodeWritten, type Written } from "../../../src/wire/write_response.js";

const MIB = 1024 * 1024;
const position = { epoch: "e1", revision: 7 };

function stateOf(bytes: number): UserState {
  return { userId: "ann", states: { a: "x".repeat(bytes) }, revision: 7, updateTime: 1000, joinTime: 1000 };
}

function done(bytes: number): EntryResult<Written> {
  return { done: { state: stateOf(bytes), pending: false, position, pendingExpireTime: undefined } };
}

function mismatch(bytes: number): EntryResult<Written> {
  return { failed: new PresenceError("STATE_REVISION_MISMATCH", "no", { currentState: stateOf(bytes) }) };
}

function stateIn(status: Status): Record<string, string> | undefined {
  return status.details.map((detail) => anyUnpack(detail, UserStateSchema)).find((state) => state)?.states;
}

describe("rpc: the answer to a batch", () => {
  const decode = (results: readonly EntryResult<Written>[]) => {
    const bytes = encodeBatch(results, encodeWritten);
    return { size: bytes.length, ...fromBinary(BatchSetStateResponseSchema, bytes) };
  };

  it("holds states up to 1 MiB, and none in any entry beyond", () => {
    const entries = (count: number, last: number) => [...Array.from({ length: count }, () => done(16_000)), done(last)];
    const room = MIB - decode(entries(65, 1000)).size + 1000;
    const largest = decode(entries(65, room));
    assert.deepEqual([largest.size, largest.statesOmitted], [MIB, false]);
    const beyond = decode(entries(65, room + 1));
    assert.equal(beyond.statesOmitted, true);
    for (const { result } of beyond.results) {
      assert.ok(result.case === "response");
      const { state, position } = result.value;
      assert.deepEqual([state?.userId, state?.revision, { ...state?.states }, position?.revision], ["ann", 7n, {}, 7n]);
    }
  });

  it("leaves the states of refusals out as well", () => {
    const few = decode([mismatch(3000), done(10)]);
    assert.ok(few.results[0]!.result.case === "error" && stateIn(few.results[0]!.result.value)?.a?.length === 3000);
    const many = decode(Array.from({ length: 400 }, () => mismatch(3000)));
    assert.equal(many.statesOmitted, true);
    for (const { result } of many.results)
      assert.deepEqual(result.case === "error" && { ...stateIn(result.value) }, {});
  });

  it("is the same for joins", () => {
    const joined = Array.from({ length: 100 }, (_, i) => ({
      done: { sessionId: `s${i}`, state: stateOf(16_000), position },
    }));
    const { results, statesOmitted } = fromBinary(BatchJoinChannelResponseSchema, encodeBatch(joined, encodeJoined));
    assert.equal(statesOmitted, true);
    assert.deepEqual(
      results.map(({ result }) => result.case === "response" && result.value.sessionId),
      joined.map(({ done }) => done.sessionId),
    );
  });

  it("encodes once what several entries share", () => {
    let encoded = 0;
    const one = done(100);
    const bytes = encodeBatch(
      Array.from({ length: 1000 }, () => one),
      (written) => {
        encoded += 1;
        return encodeWritten(written);
      },
    );
    assert.deepEqual([encoded, fromBinary(BatchSetStateResponseSchema, bytes).results.length], [1, 1000]);
  });

  it("stays below 4 MiB at its very worst", () => {
    const long = "ü".repeat(5000);
    const violations = Array.from({ length: 100 }, () => ({
      field: long,
      description: long,
      reason: "INVALID_ARGUMENT" as const,
    }));
    const metadata = { field: long, limit: long };
    const results = Array.from({ length: 1000 }, () => {
      return { failed: new PresenceError("INVALID_ARGUMENT", long, { metadata, violations }) };
    });
    const { size } = decode(results);
    assert.ok(size < 4 * MIB, `${size}`);
  });
});
