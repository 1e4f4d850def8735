import assert from "node:assert/strict";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { PresenceError, Reason } from "../../../src/model/errors.js";
import { CHANNEL, decoded, encoded, refusalOf } from "./requests.js";

/** One rule of the protos, and how it is broken. */
interface Rule {
  readonly broken: string;
  readonly refusal: () => PresenceError;
  readonly reason: Reason;
  readonly field: string;
  readonly description: string;
  readonly limit?: string;
}

/** Breaks a rule: what is wrong with the request, and how its refusal must read. */
function rule<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
  [reason, field, description, limit]: [Reason, string, string, string?],
): Rule {
  const broken = `${schema.name}.${field}: ${description}`;
  return { broken, refusal: () => refusalOf(schema, encoded(schema, init)), reason, field, description, limit };
}

const NO_CONTROL = "must not hold control characters";
const channel = CHANNEL;
const {
  GetStateRequestSchema: Get,
  HeartbeatRequestSchema: Heartbeat,
  JoinChannelRequestSchema: Join,
  LeaveChannelRequestSchema: Leave,
  ListOnlineUsersRequestSchema: ListUsers,
  ListUserChannelsRequestSchema: ListChannels,
  RemoveStateRequestSchema: Remove,
  SetStateRequestSchema: Write,
  SubscribePresenceRequestSchema: Subscribe,
  WatchChannelsRequestSchema: Watch,
} = pb;

/** Rules of the field `channel`, which eight requests share. */
const channelRules = [Get, Join, Leave, ListUsers, Remove, Write, Subscribe].flatMap((schema) => {
  const breaking = (channel: object | undefined, expected: [Reason, string, string, string?]): Rule =>
    rule(schema as typeof Get, { channel }, expected);
  return [
    breaking(undefined, ["INVALID_CHANNEL_NAME", "channel", "is required"]),
    breaking({ type: 0, name: "a" }, ["INVALID_CHANNEL_TYPE", "channel.type", "must not be in list [0]"]),
    breaking({ type: 3, name: "a" }, [
      "INVALID_CHANNEL_TYPE",
      "channel.type",
      "must be one of the defined enum values",
    ]),
    breaking({ type: 1, name: "" }, ["INVALID_CHANNEL_NAME", "channel.name", "must be at least 1 bytes"]),
    breaking({ type: 1, name: "a".repeat(129) }, [
      "INVALID_CHANNEL_NAME",
      "channel.name",
      "must be at most 128 bytes",
      "128",
    ]),
    breaking({ type: 1, name: "é".repeat(65) }, [
      "INVALID_CHANNEL_NAME",
      "channel.name",
      "must be at most 128 bytes",
      "128",
    ]),
    breaking({ type: 2, name: "a\u0000b" }, ["INVALID_CHANNEL_NAME", "channel.name", NO_CONTROL]),
  ];
});

/** Rules of the field `user_id`. */
const userRules = [Get, Join, Leave, ListChannels, Remove, Write, Subscribe].flatMap((schema) => {
  const breaking = (userId: string, expected: [Reason, string, string, string?]): Rule =>
    rule(schema as typeof Get, { channel, userId }, expected);
  return [
    breaking("a".repeat(129), ["INVALID_USER_ID", "user_id", "must be at most 128 bytes", "128"]),
    breaking("a\nb", ["INVALID_USER_ID", "user_id", NO_CONTROL]),
  ];
});

/** Rules of the field `device_id`. */
const deviceRules = [Join, Subscribe].flatMap((schema) => {
  const breaking = (deviceId: string, expected: [Reason, string, string, string?]): Rule =>
    rule(schema as typeof Subscribe, { channel, deviceId }, expected);
  return [
    breaking("a".repeat(129), ["INVALID_ARGUMENT", "device_id", "must be at most 128 bytes", "128"]),
    breaking(`${"é".repeat(64)}a`, ["INVALID_ARGUMENT", "device_id", "must be at most 128 bytes", "128"]),
    breaking("a\u0000", ["INVALID_ARGUMENT", "device_id", NO_CONTROL]),
    breaking("\u009f", ["INVALID_ARGUMENT", "device_id", NO_CONTROL]),
  ];
});

/** Rules of the three maps of states. */
const stateRules = (
  [
    [Write, "states"],
    [Subscribe, "initial_states"],
    [Join, "initial_states"],
  ] as const
).flatMap(([schema, name]) => {
  const breaking = (states: Record<string, string>, expected: [Reason, string, string, string?]): Rule =>
    rule(schema as typeof Write, { channel, [name === "states" ? name : "initialStates"]: states }, expected);
  return [
    breaking({ "": "x" }, ["INVALID_STATE_KEY", name, "a key must be at least 1 bytes"]),
    breaking({ "a\u0085": "x" }, ["INVALID_STATE_KEY", name, `a key ${NO_CONTROL}`]),
    breaking({ ["k".repeat(65)]: "x" }, ["STATE_KEY_SIZE_OVERFLOW", name, "a key must be at most 64 bytes", "64"]),
    breaking({ Mood: "é".repeat(2049) }, [
      "STATE_VALUE_SIZE_OVERFLOW",
      `${name}["Mood"]`,
      "must be at most 4096 bytes",
      "4096",
    ]),
  ];
});

const otherRules = [
  rule(Watch, { channels: Array(1001).fill(channel) }, [
    "INVALID_ARGUMENT",
    "channels",
    "must contain no more than 1000 item(s)",
    "1000",
  ]),
  rule(Watch, { channels: [channel, { type: 1, name: "" }] }, [
    "INVALID_CHANNEL_NAME",
    "channels[1].name",
    "must be at least 1 bytes",
  ]),
  rule(Watch, { channels: [{ type: 0, name: "a" }] }, [
    "INVALID_CHANNEL_TYPE",
    "channels[0].type",
    "must not be in list [0]",
  ]),
  rule(Watch, { prefix: "a\u0007" }, ["INVALID_ARGUMENT", "prefix", NO_CONTROL]),
  rule(Watch, { prefix: "a".repeat(129) }, ["INVALID_ARGUMENT", "prefix", "must be at most 128 bytes", "128"]),
  rule(Remove, { channel, keys: ["a", ""] }, ["INVALID_STATE_KEY", "keys[1]", "must be at least 1 bytes"]),
  rule(Remove, { channel, keys: ["a\tb"] }, ["INVALID_STATE_KEY", "keys[0]", NO_CONTROL]),
  rule(Remove, { channel, keys: ["k".repeat(65)] }, [
    "STATE_KEY_SIZE_OVERFLOW",
    "keys[0]",
    "must be at most 64 bytes",
    "64",
  ]),
  rule(Remove, { channel, keys: Array<string>(1001).fill("a") }, [
    "INVALID_ARGUMENT",
    "keys",
    "must contain no more than 1000 item(s)",
    "1000",
  ]),
  rule(Heartbeat, {}, ["INVALID_ARGUMENT", "session_ids", "must contain at least 1 item(s)"]),
  rule(Heartbeat, { sessionIds: Array<string>(1001).fill("a") }, [
    "INVALID_ARGUMENT",
    "session_ids",
    "must contain no more than 1000 item(s)",
    "1000",
  ]),
  rule(Heartbeat, { sessionIds: ["a".repeat(65)] }, [
    "INVALID_ARGUMENT",
    "session_ids[0]",
    "must be at most 64 bytes",
    "64",
  ]),
  rule(Heartbeat, { sessionIds: [""] }, ["INVALID_ARGUMENT", "session_ids[0]", "must be at least 1 bytes"]),
  rule(Leave, { channel, sessionId: "a".repeat(65) }, [
    "INVALID_ARGUMENT",
    "session_id",
    "must be at most 64 bytes",
    "64",
  ]),
  rule(Subscribe, { channel, sessionId: "a".repeat(65) }, [
    "INVALID_ARGUMENT",
    "session_id",
    "must be at most 64 bytes",
    "64",
  ]),
  rule(Subscribe, { channel, resumeFrom: { epoch: "a".repeat(65) } }, [
    "INVALID_ARGUMENT",
    "resume_from.epoch",
    "must be at most 64 bytes",
    "64",
  ]),
  rule(ListUsers, { channel, pageSize: -1 }, ["INVALID_ARGUMENT", "page_size", "must be greater than or equal to 0"]),
  rule(ListChannels, { pageSize: -1 }, ["INVALID_ARGUMENT", "page_size", "must be greater than or equal to 0"]),
  rule(ListUsers, { channel, pageToken: "a".repeat(1025) }, [
    "INVALID_PAGE_TOKEN",
    "page_token",
    "must be at most 1024 bytes",
    "1024",
  ]),
  rule(ListChannels, { pageToken: "a".repeat(1025) }, [
    "INVALID_PAGE_TOKEN",
    "page_token",
    "must be at most 1024 bytes",
    "1024",
  ]),
];

describe("wire: the constraints of the protos (S21, S22)", () => {
  for (const { broken, refusal, reason, field, description, limit } of [
    ...channelRules,
    ...userRules,
    ...deviceRules,
    ...stateRules,
    ...otherRules,
  ]) {
    it(broken, () => {
      const { metadata, violations, message, ...error } = refusal();
      assert.equal(error.reason, reason);
      assert.deepEqual(metadata, limit === undefined ? { field } : { field, limit });
      assert.deepEqual(violations, [{ field, description, reason }]);
      assert.equal(message, `${field}: ${description}`);
    });
  }

  const between = (low: string): string => `must be greater than or equal to ${low} and less than or equal to 300s`;
  const durations = [
    [Subscribe, "presence_timeout", "presenceTimeout", "0s"],
    [Join, "ttl", "ttl", "1s"],
    [Heartbeat, "ttl", "ttl", "1s"],
  ] as const;

  for (const [schema, field, localName, low] of durations) {
    const request = (duration: object): object => ({ channel, sessionIds: ["a"], [localName]: duration });
    const refused = (duration: object) => refusalOf(schema, encoded(schema as typeof Subscribe, request(duration)));

    it(`S5 S17 ${schema.name}.${field} has bounds`, () => {
      const lowest = BigInt(low.slice(0, 1));
      for (const duration of [
        { seconds: 301n },
        { seconds: 300n, nanos: 1 },
        { seconds: lowest - 1n, nanos: lowest === 1n ? 999_999_999 : 0 },
        { seconds: 2n ** 62n },
        { seconds: -(2n ** 62n) },
        { seconds: 0n, nanos: -1 },
      ]) {
        const { reason, violations } = refused(duration);
        assert.equal(reason, "INVALID_ARGUMENT");
        assert.deepEqual(violations, [{ field, description: between(low), reason }]);
      }
      for (const duration of [{ seconds: 300n }, { seconds: lowest }, { seconds: 1n, nanos: 1 }]) {
        decoded(schema as typeof Subscribe, request(duration));
      }
    });

    it(`S5 S17 ${schema.name}.${field} cannot be carried past its bounds by nanoseconds`, () => {
      for (const duration of [
        { seconds: 299n, nanos: 2_000_000_000 },
        { seconds: 2n, nanos: -2_000_000_000 },
        { seconds: 5n, nanos: -1 },
        { seconds: 5n, nanos: 1_000_000_000 },
      ]) {
        const { reason, violations } = refused(duration);
        assert.equal(reason, "INVALID_ARGUMENT");
        assert.deepEqual(violations, [{ field, description: "must have nanos from 0 to 999999999", reason }]);
      }
    });
  }

  it("takes everything that is just within its limits", () => {
    const name = "a".repeat(128);
    const states = { ["k".repeat(64)]: "v".repeat(4096), é: "", " ": "\n", toString: "__proto__" };
    const set = decoded(Write, { channel: { type: 2, name }, userId: "__proto__", states });
    assert.deepEqual({ ...set.states }, states);
    assert.equal(set.userId, "__proto__");
    decoded(Remove, { channel, keys: Array<string>(1000).fill("__proto__") });
    decoded(Heartbeat, { sessionIds: Array<string>(1000).fill("s".repeat(64)) });
    decoded(Watch, {});
    decoded(Watch, { channels: Array(1000).fill(channel), prefix: "é".repeat(64), withSnapshot: true });
    decoded(ListUsers, { channel, pageSize: 2 ** 31 - 1, pageToken: "a".repeat(1024) });
    decoded(Subscribe, { channel, deviceId: "é".repeat(64) });
    decoded(Join, { channel, deviceId: "__proto__ and spaces" });
    decoded(Subscribe, { channel, resumeFrom: { epoch: "e".repeat(64), revision: 2n ** 64n - 1n } });
  });

  it("S22 names every field that is wrong, the first one first", () => {
    const refusal = refusalOf(
      Write,
      encoded(Write, { channel: { type: 0, name: "" }, userId: "\t", states: { "": "" } }),
    );
    assert.deepEqual(
      refusal.violations.map(({ field, reason }) => [field, reason]),
      [
        ["channel.type", "INVALID_CHANNEL_TYPE"],
        ["channel.name", "INVALID_CHANNEL_NAME"],
        ["user_id", "INVALID_USER_ID"],
        ["states", "INVALID_STATE_KEY"],
      ],
    );
    assert.equal(refusal.reason, "INVALID_CHANNEL_TYPE");
    assert.equal(refusal.metadata.field, "channel.type");
  });
});
