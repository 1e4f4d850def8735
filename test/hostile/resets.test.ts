import assert from "node:assert/strict";
import { constants } from "node:http2";
import { Server, type ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { Connections } from "../../src/rpc/connections.js";
import { bytesServiceDefinition } from "../../src/rpc/service_definition.js";
import { UnfinishedRequests } from "../../src/rpc/unfinished_requests.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";
import { RawConnection, resets } from "./raw_connection.js";

describe("requests that are reset before they are whole (S21)", () => {
  let server: RollcallServer;
  let connection: RawConnection | undefined;
  let alsoClose: () => void = () => {};

  beforeEach(async () => {
    server = await startTestServer();
  });

  afterEach(async () => {
    connection?.destroy();
    connection = undefined;
    alsoClose();
    alsoClose = () => {};
    await server.close();
  });

  it("many of them on a connection end it, long before Node does", async () => {
    connection = await RawConnection.open(server.address);
    connection.greet().send(resets(60));
    await connection.closed();
    assert.equal(connection.goawayCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it("what a connection sends while it waits to be let in is no more to the server than of any other", async () => {
    let begun = 0;
    const clock = new ManualClock();
    const unfinished = new UnfinishedRequests({ clock, timeoutMs: 10_000, maxBytes: 1_000_000, onCut: () => {} });
    const counts: ServerInterceptor = (_, call) => {
      begun++;
      return call as ServerInterceptingCall;
    };
    const grpc = new Server({ interceptors: [unfinished.interceptor, counts] });
    const subscribePresence = (): void => {};
    grpc.addService(bytesServiceDefinition(PresenceService), { subscribePresence });
    const connections = new Connections(grpc, {
      clock,
      maxPerAddress: 0,
      bytesPerSecond: 0,
      wastedDelayMs: 1000,
      tls: undefined,
    });
    alsoClose = () => {
      connections.stopListening();
      grpc.forceShutdown();
      unfinished.close();
    };
    const { host, port } = await connections.listen({ host: "127.0.0.1", port: 0 });
    const open = () => RawConnection.open(`${host}:${port}`);
    const wasted = (await open()).send(Buffer.from("no HTTP/2"));
    await wasted.closed();
    while (connections.size > 0) await new Promise(setImmediate);
    connection = (await open()).greet().send(resets(250));
    while (connections.waiting === 0) await new Promise(setImmediate);
    // If it were read while it waits, it would be by now.
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    clock.advance(1000);
    await connection.closed();
    assert.ok(begun <= 60, `${begun} calls were begun before it was cut`);
  });

  it("a few do not", async () => {
    connection = await RawConnection.open(server.address);
    connection.greet().send(resets(40));
    const { client, channel } = connect(server.address);
    // By the time that others were answered it would have been ended.
    for (let i = 0; i < 20; i++) await client.listOnlineUsers({ channel: message("room"), countOnly: true });
    assert.equal(connection.isClosed, false);
    channel.close();
  });

  it("streams that are cancelled are none of them, however many", async () => {
    const { client, channel } = connect(server.address);
    const room = message("room");
    const stays = new Listener(client, { channel: room, userId: "anna" });
    await stays.opened();
    const listeners = Array.from(
      { length: 100 },
      (_, i) => new Listener(client, { channel: room, userId: `user ${i}` }),
    );
    await Promise.all(listeners.map((listener) => listener.opened()));
    for (const listener of listeners) listener.cancel();
    const count = async () => (await client.listOnlineUsers({ channel: room, countOnly: true })).totalSize;
    while ((await count()) > 1) await new Promise(setImmediate);
    assert.equal(await count(), 1, "the stream of the one who stays is open");
    stays.cancel();
    channel.close();
  });
});
