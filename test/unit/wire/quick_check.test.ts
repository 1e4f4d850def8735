import assert from "node:assert/strict";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { FieldRulesSchema } from "../../../gen/buf/validate/validate_pb.js";
import { PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { compileQuickCheck } from "../../../src/wire/quick_check.js";
import { property } from "../../support/property.js";

const validator = createValidator();

/** Texts around every bound that the contract has: empty, control characters, 64, 128, 4096 bytes of any width. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 5 }),
  fc.constantFrom("", "a\u0000", "\u001f", "\u007f", "\u0080", "\u009f", "\u00a0", "é", "😀", "__proto__"),
  fc
    .tuple(fc.constantFrom("x", "é", "€", "😀"), fc.constantFrom(63, 64, 65, 127, 128, 129, 1024, 4095, 4096, 4097))
    .map(([unit, bytes]) => unit.repeat(Math.max(1, Math.floor(bytes / Buffer.byteLength(unit))))),
);
const channel = fc.option(fc.record({ type: fc.integer({ min: -1, max: 4 }), name: text }), { nil: undefined });
const states = fc.dictionary(text, text, { maxKeys: 4 });
const duration = fc.option(
  fc.record({
    seconds: fc.oneof(fc.bigInt({ min: -2n, max: 400n }), fc.constantFrom(0n, 1n, 300n)),
    nanos: fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(0, 1)),
  }),
  { nil: undefined },
);
const texts = fc.oneof(
  fc.array(text, { maxLength: 4 }),
  fc.constantFrom(999, 1000, 1001).map((length) => new Array<string>(length).fill("k")),
);

const REQUESTS: readonly [DescMessage, fc.Arbitrary<Record<string, unknown>>][] = [
  [pb.SetStateRequestSchema, fc.record({ channel, userId: text, states, replace: fc.boolean() })],
  [pb.GetStateRequestSchema, fc.record({ channel, userId: text })],
  [pb.RemoveStateRequestSchema, fc.record({ channel, userId: text, keys: texts })],
  [
    pb.SubscribePresenceRequestSchema,
    fc.record({
      channel,
      userId: text,
      initialStates: states,
      presenceTimeout: duration,
      sessionId: text,
      deviceId: text,
    }),
  ],
  [pb.ListOnlineUsersRequestSchema, fc.record({ channel, pageSize: fc.integer(), pageToken: text })],
  [pb.ListUserChannelsRequestSchema, fc.record({ userId: text, pageSize: fc.integer(), pageToken: text })],
  [
    pb.JoinChannelRequestSchema,
    fc.record({ channel, userId: text, initialStates: states, ttl: duration, deviceId: text }),
  ],
  [pb.HeartbeatRequestSchema, fc.record({ sessionIds: texts, ttl: duration })],
  [pb.BatchSetStateRequestSchema, fc.record({ requests: fc.array(fc.record({ userId: text }), { maxLength: 3 }) })],
  [
    pb.ListOnlineUsersRequestSchema,
    fc.record({
      channel,
      userIds: texts,
      states: fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), text, { maxKeys: 40, size: "max" }),
    }),
  ],
  [pb.LeaveChannelRequestSchema, fc.record({ channel, userId: text, sessionId: text })],
];

describe("quick check of requests", () => {
  for (const [schema, content] of REQUESTS) {
    const check = compileQuickCheck(schema);
    property(`never takes a ${schema.name} that the validator refuses`, [content], (init) => {
      const message = create(schema, init) as Message;
      if (check(message)) assert.equal(validator.validate(schema, message).kind, "valid");
    });
  }

  it("takes the requests that every client sends, so that they need no validator", () => {
    const here = { type: 1, name: "chat_room" };
    const usual: [DescMessage, Record<string, unknown>][] = [
      [pb.SetStateRequestSchema, { channel: here, userId: "tony", states: { Mode: "Happy", Mood: "é".repeat(2048) } }],
      [pb.SetStateRequestSchema, { channel: here, states: { Mode: "" }, expectedRevision: 3n }],
      [pb.GetStateRequestSchema, { channel: here, userId: "tony" }],
      [pb.RemoveStateRequestSchema, { channel: here, userId: "tony", keys: ["Mode"] }],
      [pb.SubscribePresenceRequestSchema, { channel: here, userId: "tony", resumeFrom: { epoch: "e", revision: 4n } }],
      [pb.ListOnlineUsersRequestSchema, { channel: here, pageSize: 100 }],
      [pb.HeartbeatRequestSchema, { sessionIds: new Array<string>(1000).fill("session"), ttl: { seconds: 30n } }],
      [pb.BatchSetStateRequestSchema, { requests: [{ channel: here }] }],
      [pb.BatchJoinChannelRequestSchema, { requests: [{ userId: "not for us to check\u0000" }] }],
      [pb.JoinChannelRequestSchema, { channel: here, userId: "tony", ttl: { seconds: 300n, nanos: 0 } }],
    ];
    for (const [schema, init] of usual) {
      assert.equal(compileQuickCheck(schema)(create(schema, init) as Message), true, schema.name);
    }
  });

  it("declines what it has no check for: oneofs, and nothing else of ours", () => {
    assert.equal(compileQuickCheck(PresenceEventSchema)(create(PresenceEventSchema)), false);
    assert.equal(compileQuickCheck(FieldRulesSchema)(create(FieldRulesSchema)), false);
  });
});
