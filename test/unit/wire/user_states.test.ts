import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SnapshotSchema, UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import type { UserState } from "../../../src/model/user_state.js";
import { fromUserState } from "../../../src/wire/messages.js";
import { encodeUserState, encodeUsers } from "../../../src/wire/user_states.js";
import { property } from "../../support/property.js";

/** Of every length at which something is done in another way, with what UTF-8 makes longer, and halves of pairs. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom(0, 24, 25, 105, 106, 107, 124, 125, 126, 127, 128, 129, 4096, 16_500).map((size) => "x".repeat(size)),
  fc.constantFrom(42, 43, 5461, 5462).map((size) => "€".repeat(size)),
  fc.constantFrom("\ud800", "a\udc00b", "😀"),
);
const whole = fc.oneof(fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1), fc.maxSafeNat());
const time = fc.option(fc.nat(8.64e15), { nil: undefined });
const userState: fc.Arbitrary<UserState> = fc.record({
  userId: text,
  states: fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true }),
  revision: whole,
  updateTime: time,
  joinTime: time,
});

/** What the generated types write, fields in the order of their numbers. */
const expected = (state: UserState) => toBinary(UserStateSchema, fromUserState(state));

describe("wire: states written by hand", () => {
  property("a state is what the generated types write, byte by byte", [userState], (state) => {
    assert.deepEqual(Buffer.from(encodeUserState(state)), Buffer.from(expected(state)));
  });

  property(
    "users stand side by side, in parts no longer than asked for, encoded before or not",
    [fc.array(fc.tuple(userState, fc.boolean()), { maxLength: 12 }), fc.constantFrom(10, 300, 40_000)],
    (users, most) => {
      const parts = encodeUsers(
        users.map(([state, known]) => ({ state, bytes: known ? encodeUserState(state) : undefined })),
        most,
      );
      const decoded = parts.map((part) => fromBinary(SnapshotSchema, part).users);
      parts.forEach(({ length }, i) => {
        assert.ok(length <= most || decoded[i]!.length === 1, `${length} bytes for ${decoded[i]!.length} users`);
      });
      assert.deepEqual(
        decoded.flat().map((user) => Buffer.from(toBinary(UserStateSchema, user))),
        users.map(([state]) => Buffer.from(expected(state))),
      );
    },
  );

  it("encodes a state that is larger than any before", () => {
    const large = (bytes: number): UserState => {
      return { userId: "ann", states: { value: "x".repeat(bytes) }, revision: 1, updateTime: 1, joinTime: 1 };
    };
    assert.deepEqual(Buffer.from(encodeUserState(large(2e6))), Buffer.from(expected(large(2e6))));
    const [one, two] = encodeUsers(
      [large(5e6), large(12e6)].map((state) => ({ state, bytes: undefined })),
      1000,
    );
    assert.deepEqual(fromBinary(SnapshotSchema, one!).users, [fromUserState(large(5e6))]);
    assert.deepEqual(fromBinary(SnapshotSchema, two!).users, [fromUserState(large(12e6))]);
  });

  it("gives bytes that what is encoded later does not touch", () => {
    const state = { userId: "ann", states: { a: "1" }, revision: 1, updateTime: 1, joinTime: 1 };
    const bytes = encodeUserState(state);
    const [part] = encodeUsers([{ state, bytes: undefined }], 1000);
    const before = [bytes, part!].map((some) => Buffer.from(some));
    encodeUserState({ ...state, userId: "somebody else" });
    encodeUsers([{ state: { ...state, userId: "another" }, bytes: undefined }], 1000);
    assert.deepEqual(
      [bytes, part!].map((some) => Buffer.from(some)),
      before,
    );
  });
});
