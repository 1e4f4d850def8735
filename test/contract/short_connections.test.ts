import assert from "node:assert/strict";
import { connect as startSession } from "node:http2";
import type { RollcallServer } from "../../src/server/server.js";
import { callHeaders, FLAG, FRAME, frame, RawConnection } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const channel = message("room");
/** GOAWAY as grpc-go sends it when it closes: the last stream is one of its own, which Node reports as a protocol error. */
const GO_CLOSE = frame(FRAME.GOAWAY, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]));
const EMPTY_MESSAGE = frame(FRAME.DATA, FLAG.END_STREAM, 1, Buffer.alloc(5));

/** Short connections one after the other; the clock stands still, so a connection that the server delays never gets in. */
describe("short connections of one address are never delayed", () => {
  let server: RollcallServer;
  let clock: ManualClock;

  beforeEach(async () => {
    clock = new ManualClock();
    server = await startTestServer({ metrics: { host: "127.0.0.1", port: 0 } }, { clock });
  });

  afterEach(async () => {
    const closed = server.close();
    clock.advance(10_000);
    await closed;
  });

  async function noneIsOpen(): Promise<void> {
    while ((await gauge(server.metricsAddress, "rollcall_connections")) > 0) await new Promise(setImmediate);
  }

  it("30 whose only call is answered NOT_FOUND", async () => {
    for (let i = 0; i < 30; i++) {
      const { client, channel: connection } = connect(server.address, "anna");
      const call = client.getState({ channel, userId: "nobody" });
      await assert.rejects(within(`call ${i}`, call), /NOT_FOUND/);
      connection.close();
      await noneIsOpen();
    }
  });

  for (const [what, path] of [
    ["GetState of an absent user", "/presence.v1.PresenceService/GetState"],
    ["a health check", "/grpc.health.v1.Health/Check"],
  ] as const)
    it(`30 that close with a GOAWAY as grpc-go does, after ${what}`, async () => {
      const headers = callHeaders("GetState", { ":path": path, "x-user-id": "anna" });
      for (let i = 0; i < 30; i++) {
        const connection = await RawConnection.open(server.address);
        connection.greet().send(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, headers), EMPTY_MESSAGE);
        await within(`answer ${i}`, connection.ended(1));
        connection.send(GO_CLOSE).destroy();
        await noneIsOpen();
      }
    });

  it("a caller's 30 connections while six others send the preface and close", async () => {
    for (let i = 0; i < 30; i++) {
      const idle = await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(server.address)));
      for (const one of idle) one.greet().destroy();
      const { client, channel: connection } = connect(server.address, "anna");
      await within(`call ${i}`, client.setState({ channel, states: { i: `${i}` } }));
      connection.close();
      await noneIsOpen();
    }
  });

  it("300 that are open at once without a call", async () => {
    const sessions = Array.from({ length: 300 }, () => startSession(`http://${server.address}`));
    const settings = sessions.map((session) => new Promise((resolve) => session.once("remoteSettings", resolve)));
    await within("SETTINGS of the server on each", Promise.all(settings));
    for (const session of sessions) session.destroy();
  });
});
