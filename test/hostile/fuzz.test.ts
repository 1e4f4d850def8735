import assert from "node:assert/strict";
import { connect as connectHttp2, constants } from "node:http2";
import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import fc from "fast-check";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message, stream } from "../support/calls.js";
import { ManualClock } from "../support/manual_clock.js";
import { property } from "../support/property.js";
import { startTestServer } from "../support/server.js";
import { BODIES, MESSAGES } from "./corpus.js";
import { RawConnection } from "./raw_connection.js";

const METHODS: readonly DescMethod[] = PresenceService.methods;

/** Valid often enough that calls get past the first check. */
const text = fc.oneof(
  fc.constantFrom("room", "ann", "bob", "mood", ""),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 140 }),
);

/** A value for a scalar field. */
function scalarOf(type: ScalarType | undefined): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.UINT64:
      return fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(0n, 2n ** 64n - 1n));
    case ScalarType.INT64:
      return fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
    case ScalarType.UINT32:
      return fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0 }));
    case ScalarType.INT32:
      return fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer());
    default:
      throw new Error(`no values for a field of type ${type && ScalarType[type]}`);
  }
}

/** A message of any shape: each field set or not, whatever the constraints say. */
function messageOf(desc: DescMessage, depth = 3): fc.Arbitrary<Message> {
  const fields = desc.fields.filter(({ fieldKind, message: of }) => depth > 0 || !(fieldKind === "message" && of));
  const values = fields.map((field) => fc.option(fieldValue(field, depth), { nil: undefined, freq: 4 }));
  return fc.tuple(...values).map((chosen) => {
    const into = create(desc);
    const reflected = reflect(desc, into, false);
    chosen.forEach((value, i) => {
      if (value !== undefined) setField(reflected, fields[i]!, value);
    });
    return into;
  });
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const single = (): fc.Arbitrary<unknown> => {
    if (field.message) return messageOf(field.message, depth - 1);
    return field.enum ? fc.integer({ min: -1, max: 4 }) : scalarOf(field.scalar);
  };
  if (field.fieldKind === "list") return fc.array(single(), { maxLength: 4 });
  if (field.fieldKind === "map") return fc.array(fc.tuple(text, text), { maxLength: 40 });
  return single();
}

type Reflected = ReturnType<typeof reflect>;

function setField(into: Reflected, field: DescField, value: unknown): void {
  const wrap = (one: unknown): unknown => (field.message ? reflect(field.message, one as Message, false) : one);
  if (field.fieldKind === "list") for (const one of value as unknown[]) into.get(field).add(wrap(one) as never);
  else if (field.fieldKind === "map")
    for (const [key, one] of value as [string, string][]) into.get(field).set(key, one as never);
  else into.set(field, wrap(value) as never);
}

describe("fuzzing (S22)", () => {
  const clock = new ManualClock();
  let server: RollcallServer;
  let honest: ReturnType<typeof connect>;
  let session: ReturnType<typeof connectHttp2>;
  /** The revision of the state that nothing may change. */
  let kept: bigint;

  before(async () => {
    // Time stands still, so that nothing changes by itself.
    server = await startTestServer({ drainTime: 0 }, { clock });
    honest = connect(server.address);
    session = connectHttp2(`http://${server.address}`);
    const joined = await honest.client.joinChannel({
      channel: message("kept"),
      userId: "kept",
      initialStates: { a: "1" },
    });
    kept = joined.state!.revision;
  });

  after(async () => {
    session.destroy();
    honest.channel.close();
    const closed = server.close();
    clock.advance(10_000);
    await closed;
  });

  /** Where the channels stand that fuzzed requests name. */
  async function positions(): Promise<string> {
    const found = await Promise.all(
      [message("room"), stream("room"), message("ann"), stream("ann")].map((channel) =>
        honest.client.listOnlineUsers({ channel, countOnly: true }),
      ),
    );
    return found.map(({ totalSize, position }) => `${totalSize} ${position!.epoch} ${position!.revision}`).join(", ");
  }

  /** Whoever is in a channel that no fuzzed request names, and is therefore not to change. */
  async function checkServed(): Promise<void> {
    const { state } = await honest.client.getState({ channel: message("kept"), userId: "kept" });
    assert.deepEqual({ ...state!.states }, { a: "1" });
    assert.equal(state!.revision, kept);
  }

  /** The call's status; a stream that is let in is cancelled after its first message and counts as OK. */
  function call(method: string, body: Uint8Array): Promise<string> {
    const calling = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: `/presence.v1.PresenceService/${method}`,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      te: "trailers",
      "x-user-id": "mallory",
    });
    return new Promise((resolve) => {
      const note = (headers: Record<string, unknown>): void => {
        if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
      };
      calling.on("response", note).on("trailers", note);
      calling.on("error", () => {});
      calling.once("close", () => resolve(`reset ${calling.rstCode}`));
      calling.once("data", () => {
        if (!method.startsWith("Subscribe") && !method.startsWith("Watch")) return;
        resolve("0");
        calling.close(constants.NGHTTP2_CANCEL);
      });
      calling.resume();
      calling.end(body);
    });
  }

  function framed(bytes: Uint8Array): Buffer {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([prefix, bytes]);
  }

  for (const { name, input, methodKind } of METHODS) {
    property(
      `${name} answers whatever it is asked, and fails at nothing`,
      [messageOf(input)],
      async (request) => {
        const before = await positions();
        const status = await call(name, framed(toBinary(input, request)));
        // 2 and 13 would be failures of the server's own (UNKNOWN, INTERNAL).
        assert.match(status, /^(?:0|3|5|7|8|9|10)$/);
        // The end of a stream that was let in before comes when it comes.
        if (status !== "0" && methodKind === "unary") assert.equal(await positions(), before);
        await checkServed();
      },
      { runs: 40 },
    );
  }

  for (const [what, bytes] of Object.entries(MESSAGES)) {
    it(`the corpus: ${what}`, async () => {
      const before = await positions();
      for (const { name, methodKind } of METHODS) {
        const status = await call(name, framed(bytes));
        assert.match(status, /^(?:0|3|5|7|8|9|10)$/, name);
        if (status !== "0" && methodKind === "unary") assert.equal(await positions(), before, name);
      }
      await checkServed();
    });
  }

  for (const [what, body] of Object.entries(BODIES)) {
    it(`the corpus, below the message: ${what}`, async () => {
      const before = await positions();
      for (const { name } of METHODS) assert.match(await call(name, body), /^(?:\d+|reset \d+)$/, name);
      assert.equal(await positions(), before);
      await checkServed();
    });
  }

  property(
    "bytes that are no message are refused, and change nothing",
    [fc.constantFrom(...METHODS), fc.uint8Array({ maxLength: 200 }), fc.boolean()],
    async ({ name }, bytes, isFramed) => {
      const status = await call(name, isFramed ? framed(bytes) : bytes);
      assert.match(status, /^(?:\d+|reset \d+)$/);
      if (isFramed) assert.notEqual(status, "13");
      await checkServed();
    },
    { runs: 150 },
  );

  const anyFrame = fc
    .tuple(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 7 }),
      fc.uint8Array({ maxLength: 60 }),
    )
    .map(([type, flags, stream, payload]) => {
      const head = Buffer.alloc(9);
      head.writeUIntBE(payload.length, 0, 3);
      head.writeUInt8(type, 3);
      head.writeUInt8(flags, 4);
      head.writeUInt32BE(stream, 5);
      return Buffer.concat([head, payload]);
    });

  property(
    "frames of any kind, and bytes that are none, harm nobody else",
    [
      fc.array(
        fc.oneof({ weight: 5, arbitrary: anyFrame }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) }),
        { maxLength: 20 },
      ),
      fc.boolean(),
    ],
    async (frames, greets) => {
      const raw = await RawConnection.open(server.address);
      if (greets) raw.greet();
      for (const bytes of frames) if (!(await raw.push(bytes))) break;
      await checkServed();
      raw.destroy();
    },
    { runs: 100 },
  );
});
