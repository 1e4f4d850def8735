import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Http2Calls } from "../support/http2_calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = message("chat_room");
const WATCH = "/grpc.health.v1.Health/Watch";
const DELAY_MS = 5000;

/** What a server does between SIGTERM and the end of its streams (S24). */
describe("graceful shutdown with a delay", () => {
  let server: RollcallServer;
  let clock: ManualClock;
  const open: { close(): void }[] = [];

  beforeEach(async () => {
    clock = new ManualClock({ wall: Date.now() });
    server = await startTestServer({ shutdownDelay: DELAY_MS }, { clock });
  });
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    const closed = server.close();
    clock.advance(60_000);
    await closed;
  });

  function connected() {
    const { client, channel } = connect(server.address);
    open.push(channel);
    return client;
  }

  it("S24 reports NOT_SERVING at once, serves on until the delay has passed, and then ends streams", async () => {
    const probe = new Http2Calls(server.address);
    open.push(probe);
    const health = probe.call(WATCH, toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));
    const nextStatus = async () => fromBinary(HealthCheckResponseSchema, await health.messages.next()).status;
    const anna = new Listener(connected(), { channel: room, userId: "anna" });
    await anna.opened();
    assert.equal(await nextStatus(), HealthCheckResponse_ServingStatus.SERVING);

    const closed = server.close();
    assert.equal(await nextStatus(), HealthCheckResponse_ServingStatus.NOT_SERVING);
    clock.advance(DELAY_MS - 1);
    const late = connected();
    await late.setState({ channel: room, userId: "tony", states: { Mic: "True" } });
    const tony = new Listener(late, { channel: room, userId: "tony" });
    await tony.opened();
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");

    clock.advance(1);
    for (const listener of [anna, tony]) {
      const refusal = await refusalOf(listener.next());
      assert.deepEqual([refusal.code, refusal.reason], ["UNAVAILABLE", "SERVER_DRAINING"]);
    }
    await closed;
    const refusal = await refusalOf(connected().getState({ channel: room, userId: "tony" }));
    assert.equal(refusal.code, "UNAVAILABLE");
  });
});
