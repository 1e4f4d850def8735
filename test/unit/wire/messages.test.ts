import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { PositionSchema, UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import {
  fromChannelId,
  fromMs,
  fromPosition,
  fromUserState,
  toChannelId,
  toMs,
  toPosition,
  toRevision,
} from "../../../src/wire/messages.js";
import { property } from "../../support/property.js";

describe("wire: messages", () => {
  property("a channel comes back as it went", [fc.constantFrom(1 as const, 2 as const), fc.string()], (type, name) => {
    assert.deepEqual(toChannelId(fromChannelId({ type, name }), ""), { type, name });
  });

  property("a position comes back as it went", [fc.string(), fc.maxSafeNat()], (epoch, revision) => {
    assert.deepEqual(toPosition(fromPosition({ epoch, revision })), { epoch, revision });
  });

  it("S16 takes a revision beyond all that can be counted for one of the future", () => {
    assert.equal(toRevision(2n ** 53n - 1n), 2 ** 53 - 1);
    assert.equal(toRevision(2n ** 53n), Number.POSITIVE_INFINITY);
    const position = create(PositionSchema, { epoch: "e", revision: 2n ** 64n - 1n });
    assert.deepEqual(toPosition(position), { epoch: "e", revision: Number.POSITIVE_INFINITY });
  });

  it("S13 tells what was never set from what is zero", () => {
    const empty = fromUserState({ userId: "ann", states: {}, revision: 0, updateTime: undefined, joinTime: undefined });
    assert.deepEqual([empty.updateTime, empty.joinTime], [undefined, undefined]);
    const zero = fromUserState({ userId: "ann", states: {}, revision: 1, updateTime: 0, joinTime: 0 });
    assert.deepEqual([zero.updateTime?.seconds, zero.joinTime?.seconds], [0n, 0n]);
  });

  it("carries a state under the names of objects' own parts", () => {
    const states = Object.fromEntries([
      ["__proto__", "1"],
      ["toString", "2"],
    ]);
    const state = fromUserState({ userId: "__proto__", states, revision: 1, updateTime: 1, joinTime: 1 });
    const decoded = fromBinary(UserStateSchema, toBinary(UserStateSchema, state));
    assert.deepEqual(Object.entries(decoded.states).sort(), Object.entries(states).sort());
  });

  property("whole milliseconds come back as they went", [fc.nat(300_000)], (ms) => {
    assert.equal(toMs(fromMs(ms)), ms);
  });

  it("S5 rounds a duration up, so that a little does not become none", () => {
    assert.equal(toMs(create(DurationSchema, { nanos: 1 })), 1);
    assert.equal(toMs(create(DurationSchema, { seconds: 1n, nanos: 1_000_001 })), 1002);
    assert.equal(toMs(create(DurationSchema, { seconds: 300n })), 300_000);
  });
});
