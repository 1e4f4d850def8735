import assert from "node:assert/strict";
import fc from "fast-check";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { PresenceError } from "../../../src/model/errors.js";
import { decodeRequest } from "../../../src/wire/decode.js";
import { property } from "../../support/property.js";
import { CHANNEL, CHANNEL_BYTES, encoded, field, refusalOf } from "./requests.js";

const { SetStateRequestSchema, RemoveStateRequestSchema, SubscribePresenceRequestSchema, GetStateRequestSchema } = pb;
const { WatchChannelsRequestSchema } = pb;

/** Every request of the contract. */
const REQUESTS = pb.PresenceService.methods.map(({ input }) => input);

/** Bytes that no UTF-8 text holds. */
const BROKEN = [0x61, 0xff];

/** A map entry, undecoded. */
const entry = (number: number, key: number[] | string, value: number[] | string): Buffer =>
  field(number, [...field(1, key), ...field(2, value)]);

describe("wire: decoding requests", () => {
  it("S22 names the field whose text is not UTF-8", () => {
    const cases = [
      [GetStateRequestSchema, [field(1, [8, 1, ...field(2, BROKEN)])], "INVALID_CHANNEL_NAME", "channel.name"],
      [GetStateRequestSchema, [CHANNEL_BYTES, field(2, BROKEN)], "INVALID_USER_ID", "user_id"],
      [SetStateRequestSchema, [CHANNEL_BYTES, entry(3, BROKEN, "x")], "INVALID_STATE_KEY", "states"],
      [SetStateRequestSchema, [CHANNEL_BYTES, entry(3, "x", BROKEN)], "INVALID_ARGUMENT", "states"],
      [RemoveStateRequestSchema, [CHANNEL_BYTES, field(3, "a"), field(3, BROKEN)], "INVALID_STATE_KEY", "keys"],
      [SubscribePresenceRequestSchema, [CHANNEL_BYTES, entry(6, BROKEN, "")], "INVALID_STATE_KEY", "initial_states"],
      [SubscribePresenceRequestSchema, [CHANNEL_BYTES, field(9, BROKEN)], "INVALID_ARGUMENT", "session_id"],
      [
        WatchChannelsRequestSchema,
        [CHANNEL_BYTES, field(1, [8, 1, ...field(2, BROKEN)])],
        "INVALID_CHANNEL_NAME",
        "channels[1].name",
      ],
      [
        SubscribePresenceRequestSchema,
        [CHANNEL_BYTES, field(10, field(1, BROKEN))],
        "INVALID_ARGUMENT",
        "resume_from.epoch",
      ],
    ] as const;
    for (const [schema, parts, reason, name] of cases) {
      const refusal = refusalOf(schema, Buffer.concat(parts));
      assert.equal(refusal.reason, reason, name);
      assert.deepEqual(refusal.violations, [{ field: name, description: "must be valid UTF-8", reason }]);
    }
  });

  it("S22 says of bytes that are no such message which message they should be", () => {
    for (const bytes of [
      [0x0a, 5, 8, 1],
      [0xff],
      [0x0b],
      [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ]) {
      const refusal = refusalOf(GetStateRequestSchema, Uint8Array.from(bytes));
      assert.equal(refusal.reason, "INVALID_ARGUMENT");
      assert.match(refusal.message, /^the request is not a presence\.v1\.GetStateRequest: ./);
      assert.deepEqual(refusal.metadata, { type: "presence.v1.GetStateRequest" });
      assert.deepEqual(refusal.violations, []);
    }
  });

  it("takes any name for a key, a value and a user, those of objects' own parts too", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const bytes = Buffer.concat([CHANNEL_BYTES, field(2, name), entry(3, name, name)]);
      const { userId, states } = decodeRequest(SetStateRequestSchema, bytes);
      assert.equal(userId, name);
      assert.deepEqual(Object.entries(states), [[name, name]]);
    }
  });

  it("passes over fields that it does not know, as a newer client may send them", () => {
    const known = encoded(GetStateRequestSchema, { channel: CHANNEL, userId: "ann" });
    const { userId } = decodeRequest(
      GetStateRequestSchema,
      Buffer.concat([known, field(14, "new"), field(15, BROKEN)]),
    );
    assert.equal(userId, "ann");
  });

  const schema = fc.constantFrom(...REQUESTS);
  const strings = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.constant("k".repeat(65)));
  const anyRequest = fc.record({
    channel: fc.option(fc.record({ type: fc.integer({ min: -1, max: 3 }), name: strings }), { nil: undefined }),
    userId: strings,
    states: fc.dictionary(strings, strings),
    initialStates: fc.dictionary(strings, strings),
    keys: fc.array(strings),
    sessionIds: fc.array(strings),
    sessionId: strings,
    deviceId: strings,
    pageSize: fc.integer({ min: -5, max: 5 }),
    pageToken: strings,
    resumeFrom: fc.record({ epoch: strings, revision: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  });

  /** Decodes without regard for the result; anything thrown must be a refusal that the caller can act on. */
  function survives(request: (typeof REQUESTS)[number], bytes: Uint8Array): void {
    try {
      decodeRequest(request, bytes);
    } catch (error) {
      if (!(error instanceof PresenceError)) throw error;
      assert.match(error.reason, /^(INVALID_|STATE_(KEY|VALUE)_SIZE_OVERFLOW$)/);
    }
  }

  property(
    "refuses random bytes with nothing but a PresenceError",
    [schema, fc.uint8Array({ maxLength: 100 })],
    survives,
    {
      runs: 2000,
    },
  );

  property("refuses random fields with nothing but a PresenceError", [schema, anyRequest], (request, init) => {
    const fields = Object.entries(init).filter(([name]) => request.fields.some(({ localName }) => localName === name));
    survives(request, encoded(request, Object.fromEntries(fields)));
  });

  property(
    "refuses requests that are cut off or damaged with nothing but a PresenceError",
    [schema, anyRequest, fc.nat(), fc.option(fc.tuple(fc.nat(), fc.nat(255)))],
    (request, init, length, damage) => {
      const fields = Object.entries(init).filter(([name]) =>
        request.fields.some(({ localName }) => localName === name),
      );
      const whole = encoded(request, Object.fromEntries(fields));
      if (damage && whole.length > 0) whole[damage[0] % whole.length] = damage[1];
      survives(request, whole);
      survives(request, whole.subarray(0, length % (whole.length + 1)));
    },
    { runs: 1000 },
  );
});
