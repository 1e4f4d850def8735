import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import type { RollcallServer } from "../../src/server/server.js";
import { framed, type Http2Call, Http2Calls } from "../support/http2_calls.js";
import { property } from "../support/property.js";
import { startTestServer } from "../support/server.js";

const CHECK = "/grpc.health.v1.Health/Check";
const METHODS = [
  CHECK,
  "/grpc.health.v1.Health/List",
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/** Codes of refusals that are the caller's fault. */
const REFUSALS = [status.INVALID_ARGUMENT, status.NOT_FOUND, status.RESOURCE_EXHAUSTED];

/** A field of a request: a number and a text, as most fields of these services are. */
const field = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 120 })))
  .map(([number, value]) => Buffer.from([(number << 3) | 2, value.length, ...value]));

const request = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.uint8Array({ minLength: 1000, maxLength: 1100 }),
  fc.array(field, { maxLength: 3 }).map((fields) => Buffer.concat(fields)),
);

describe("fuzzing health and reflection, without a token", () => {
  let server: RollcallServer;
  let client: Http2Calls;

  before(async () => {
    server = await startTestServer();
  });
  beforeEach(() => {
    client = new Http2Calls(server.address);
  });
  afterEach(() => client.close());
  after(() => server.close());

  /** OK at the first message, or the code with which the call ended. */
  async function outcome(call: Http2Call): Promise<status> {
    const ended = call.status.then(({ code }) => code);
    const answered = call.messages.next().then(
      () => status.OK,
      () => ended,
    );
    return Promise.race([ended, answered]);
  }

  for (const path of METHODS) {
    property(
      `${path} answers any bytes, or refuses them`,
      [request, fc.boolean()],
      async (bytes, gzip) => {
        const call = client.call(path, bytes, { gzip });
        const code = await outcome(call);
        assert.ok(code === status.OK || REFUSALS.includes(code), `${status[code]}`);
        await call.cancel();
      },
      { runs: 150 },
    );
  }

  property(
    "a stream of reflection answers each of many requests, or ends",
    [fc.array(request, { minLength: 1, maxLength: 80 }), fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 })],
    async (requests, sizes) => {
      const call = client.begin(METHODS[3]!);
      const bytes = Buffer.concat(requests.map((one) => framed(one)));
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!;
        call.stream.write(bytes.subarray(at, at + size));
        at += size;
      }
      call.stream.end();
      const { code } = await call.status;
      assert.ok(code === status.OK || REFUSALS.includes(code), `${status[code]}`);
      if (code === status.OK) assert.equal(call.messages.size, requests.length);
      assert.equal((await client.call(CHECK, Buffer.alloc(0)).status).code, status.OK);
    },
    { runs: 60 },
  );
});
