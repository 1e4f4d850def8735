import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { fromPosition, fromUserState } from "../../../src/wire/messages.js";
import { Scratch } from "../../../src/wire/scratch.js";
import {
  encodeJoined,
  encodeResults,
  encodeWritten,
  resultSize,
  type Written,
} from "../../../src/wire/write_response.js";
import { property } from "../../support/property.js";

const text = fc.string({ unit: "binary", maxLength: 40 });
const time = fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined });

const written: fc.Arbitrary<Written> = fc.record({
  state: fc.record({
    userId: text,
    states: fc
      .array(fc.tuple(fc.oneof(text, fc.constant("__proto__")), text))
      .map((pairs) => Object.fromEntries(pairs)),
    revision: fc.maxSafeNat(),
    updateTime: time,
    joinTime: time,
  }),
  pending: fc.boolean(),
  position: fc.record({ epoch: text, revision: fc.oneof(fc.constant(0), fc.maxSafeNat()) }),
  pendingExpireTime: time,
});

describe("wire: the answer to a write", () => {
  property("is what the generated types would write", [written], (written) => {
    const { pendingExpireTime } = written;
    const init = {
      state: fromUserState(written.state),
      pending: written.pending,
      position: fromPosition(written.position),
      pendingExpireTime: pendingExpireTime === undefined ? undefined : timestampFromMs(pendingExpireTime),
    };
    for (const schema of [pb.SetStateResponseSchema, pb.RemoveStateResponseSchema]) {
      const expected = toBinary(schema, create(schema, init));
      assert.deepEqual(Buffer.from(encodeWritten(written)), Buffer.from(expected));
    }
  });
});

describe("wire: a writer that is used again", () => {
  it("gives bytes that later messages do not touch", () => {
    const scratch = new Scratch();
    const write = (value: string) => scratch.encode((writer) => writer.tag(1, 2).string(value));
    const first = write("a".repeat(100));
    const kept = Buffer.from(first);
    write("b".repeat(200));
    assert.deepEqual(Buffer.from(first), kept);
  });

  it("begins afresh after a message that could not be written", () => {
    const scratch = new Scratch();
    assert.throws(() =>
      scratch.encode((writer) => {
        writer.tag(1, 2).string("half a message");
        throw new Error("no more");
      }),
    );
    assert.throws(() =>
      scratch.encode((writer) => {
        writer.tag(1, 2).fork();
        writer.uint32(-1);
      }),
    );
    const bytes = scratch.encode((writer) => writer.uint32(7));
    assert.deepEqual([...bytes], [7]);
  });

  property(
    "is what the generated types would write, in a batch as well",
    [fc.array(written), fc.boolean()],
    (all, statesOmitted) => {
      const joined = all.map(({ state, position }, i) => ({ sessionId: `session ${i}`, state, position }));
      const responses = joined.map(({ sessionId, state, position }) => {
        return { sessionId, state: fromUserState(state), position: fromPosition(position) };
      });
      const error = { code: 5, message: "not found" };
      const init = {
        results: [
          ...responses.map((value) => ({ case: "response" as const, value })),
          { case: "error" as const, value: error },
        ].map((result) => ({ result })),
        statesOmitted,
      };
      const expected = toBinary(pb.BatchJoinChannelResponseSchema, create(pb.BatchJoinChannelResponseSchema, init));
      const results = [
        ...joined.map((one) => ({ response: encodeJoined(one) })),
        { error: toBinary(StatusSchema, create(StatusSchema, error)) },
      ];
      const encoded = encodeResults(results, statesOmitted);
      assert.deepEqual(Buffer.from(encoded), Buffer.from(expected));
      const size = results.reduce((sum, result) => sum + resultSize(result), statesOmitted ? 2 : 0);
      assert.equal(size, encoded.length);
    },
  );
});
