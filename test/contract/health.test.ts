import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { within } from "../support/deferred.js";
import { type Http2Call, Http2Calls } from "../support/http2_calls.js";
import { startTestServer } from "../support/server.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { SECRET } from "../support/tokens.js";

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";
const MIB = 1024 * 1024;

function request(service: string): Uint8Array {
  return toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
}

async function nextStatus(call: Http2Call): Promise<HealthCheckResponse_ServingStatus> {
  return fromBinary(HealthCheckResponseSchema, await call.messages.next()).status;
}

describe("grpc.health.v1.Health, without a token", () => {
  let server: RollcallServer;
  let client: Http2Calls;

  beforeEach(async () => {
    // Longer than the test may take: what the graceful shutdown waits for must end by itself.
    server = await startTestServer({ tokenSecret: SECRET, drainTime: 60_000 });
    client = new Http2Calls(server.address);
  });

  afterEach(async () => {
    client.close();
    await server.close();
  });

  for (const gzip of [false, true]) {
    it(`answers Check and Watch of known names${gzip ? ", compressed" : ""}`, async () => {
      for (const name of ["", "presence.v1.PresenceService"]) {
        const check = client.call(CHECK, request(name), { gzip });
        assert.equal(await nextStatus(check), SERVING);
        assert.equal((await check.status).code, status.OK);
        assert.equal(await nextStatus(client.call(WATCH, request(name), { gzip })), SERVING);
      }
    });
  }

  it("answers NOT_FOUND to Check of another name, and lists the known ones", async () => {
    const { code, message } = await client.call(CHECK, request("presence.v9.PresenceService")).status;
    assert.equal(code, status.NOT_FOUND);
    assert.match(message, /"", "presence\.v1\.PresenceService"$/);
    const list = await client.call("/grpc.health.v1.Health/List", Buffer.alloc(0)).messages.next();
    const { statuses } = fromBinary(HealthListResponseSchema, list);
    assert.deepEqual(
      Object.entries(statuses).map(([name, one]) => [name, one.status]),
      [
        ["", SERVING],
        ["presence.v1.PresenceService", SERVING],
      ],
    );
  });

  it("tells watches NOT_SERVING at graceful shutdown, ends them, and does not wait for their clients", async () => {
    const [known, unknown] = [client.call(WATCH, request("")), client.call(WATCH, request("presence.v9.Other"))];
    assert.deepEqual([await nextStatus(known), await nextStatus(unknown)], [SERVING, SERVICE_UNKNOWN]);
    const closed = server.close();
    assert.equal(await nextStatus(known), NOT_SERVING);
    for (const call of [known, unknown]) {
      assert.deepEqual(await call.status, { code: status.UNAVAILABLE, message: "the server is shutting down" });
    }
    await assert.rejects(unknown.messages.next(), /closed/);
    await within("the server to close", closed);
  });

  it("refuses requests of more than 1 KiB, as they are and decompressed", async () => {
    for (const gzip of [false, true]) {
      for (const path of [CHECK, WATCH]) {
        const { code, message } = await client.call(path, request("s".repeat(2000)), { gzip }).status;
        assert.equal(code, status.RESOURCE_EXHAUSTED, `${path}, gzip ${gzip}`);
        // The first is what grpc-js says before it has read the message; the handler would say "vs.".
        assert.match(message, gzip ? /a size larger than 1024$/ : /larger than max \(2003 vs 1024\)$/);
      }
    }
    assert.equal((await client.call(CHECK, request("s".repeat(1000))).status).code, status.NOT_FOUND);
  });

  it("refuses what is no request, or is not compressed as it says", async () => {
    assert.equal((await client.call(CHECK, Buffer.from([0xff])).status).code, status.INVALID_ARGUMENT);
    const broken = client.begin(CHECK, { "grpc-encoding": "gzip" });
    broken.stream.end(Buffer.from([1, 0, 0, 0, 1, 0x1f]));
    assert.equal((await broken.status).code, status.INTERNAL);
  });

  it("refuses a connection's 51st watch, and no other connection's", async () => {
    const watches = Array.from({ length: 50 }, () => client.call(WATCH, request("")));
    for (const watch of watches) assert.equal(await nextStatus(watch), SERVING);
    const { code, message } = await client.call(WATCH, request("")).status;
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.equal(message, "at most 50 Health/Watch streams per connection");
    assert.equal(await nextStatus(client.call(CHECK, request(""))), SERVING, "checks go on");
    const other = new Http2Calls(server.address);
    assert.equal(await nextStatus(other.call(WATCH, request(""))), SERVING);
    other.close();
    await watches[0]!.cancel();
    assert.equal(await nextStatus(client.call(WATCH, request(""))), SERVING);
  });
});

describe("grpc.health.v1.Health keeps nothing for callers", () => {
  let server: ServerUnderTest;
  let client: Http2Calls;

  beforeEach(async () => {
    server = await ServerUnderTest.start({ tokenSecret: SECRET });
    client = new Http2Calls(server.address);
  });

  afterEach(async () => {
    client.close();
    await server.stop();
  });

  /**
   * Watches each name, 20 at a time, and cancels after the first answer; resolves to the bytes that the server holds more
   * afterwards, if they are not fewer than `most`. A connection makes 100 calls without a token at once.
   */
  async function watchAndCancel(names: readonly string[], gzip: boolean, most: number): Promise<number> {
    const before = await server.memory();
    const watch = async (name: string): Promise<void> => {
      const call = client.call(WATCH, request(name), { gzip });
      await Promise.race([call.messages.next().catch(() => {}), call.status.catch(() => {})]);
      await call.cancel();
    };
    for (let i = 0; i < names.length; i += 20) {
      if (i % 100 === 0) {
        client.close();
        client = new Http2Calls(server.address);
      }
      await Promise.all(names.slice(i, i + 20).map(watch));
    }
    return server.memoryBeyond(before, most);
  }

  it("of 60 compressed names of 1 MB", async () => {
    await watchAndCancel(["warm up"], true, MIB);
    const names = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(1_000_000, "x"));
    const kept = await watchAndCancel(names, true, 8 * MIB);
    assert.ok(kept < 8 * MIB, `${(kept / MIB).toFixed(1)} MiB`);
  });

  it("of 9,000 names of 900 bytes", async () => {
    const names = Array.from({ length: 11_000 }, (_, i) => `${i}`.padEnd(900, "x"));
    await watchAndCancel(names.splice(0, 2000), false, 7 * MIB);
    const kept = await watchAndCancel(names, false, 7 * MIB);
    // The names alone are 7.7 MiB.
    assert.ok(kept < 7 * MIB, `${(kept / MIB).toFixed(1)} MiB`);
  });

  it("of 2,000 watches over 5 connections more than the first 50 of each", async () => {
    const before = await server.memory();
    const clients = Array.from({ length: 5 }, () => new Http2Calls(server.address));
    const calls = clients.flatMap((one) => Array.from({ length: 400 }, () => one.call(WATCH, request(""))));
    const outcomes = await Promise.all(
      calls.map((call) =>
        Promise.race([
          call.messages.next().then(
            () => "open",
            () => call.status.then(({ code }) => code),
          ),
          call.status.then(({ code }) => code),
        ]),
      ),
    );
    assert.equal(outcomes.filter((outcome) => outcome === "open").length, 250);
    assert.equal(outcomes.filter((outcome) => outcome === status.RESOURCE_EXHAUSTED).length, 1750);
    const held = await server.memoryBeyond(before, 8 * MIB);
    assert.ok(held < 8 * MIB, `${(held / MIB).toFixed(1)} MiB`);
    for (const one of clients) one.close();
  });
});
