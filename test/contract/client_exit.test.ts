import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { createPresenceClient } from "../../src/client/index.js";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";
import { nextEvent, within } from "../support/deferred.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const CLIENT = fileURLToPath(new URL("../support/passing_client_process.ts", import.meta.url));

describe("a client that stops while its connection is away", () => {
  let child: ChildProcess;

  afterEach(() => endChild(child));

  for (const way of ["close", "abort"]) {
    it(`leaves no timer and no handle behind, by ${way}`, async () => {
      const server = await startTestServer();
      const proxy = await TcpProxy.to(server.address);
      child = fork(CLIENT, [proxy.address, way], { execArgv: ["--import", "tsx"] });
      await nextEvent(child, "message");
      const exited = nextEvent<[number | null, string | null]>(child, "exit");
      proxy.refuse();
      assert.deepEqual(await exited, [0, null]);
      await proxy.close();
      await server.close();
    });
  }
});

describe("a client that closes", () => {
  it("leaves all of its channels, though the rate limit refuses some of its LeaveChannel calls", async () => {
    // Time stands still: the rate limit does not recover, and only a later call decides about a cancel.
    const server = await startTestServer({ rateLimit: 1, rateBurst: 6 }, { clock: new ManualClock() });
    const { client, channel } = connect(server.address);
    const rooms = ["one", "two", "three", "four"];
    const listeners = rooms.map((name) => new Listener(client, { channel: message(name), userId: "anna" }));
    const presence = createPresenceClient({ address: server.address, userId: "tony" });
    try {
      for (const anna of listeners) await anna.opened();
      await Promise.all(rooms.map((name) => presence.channel(name).subscribe().ready));
      for (const anna of listeners) await anna.expect("remoteJoin");
      await presence.close();
      for (const anna of listeners) await within("the leave", anna.expect("remoteLeave"));
    } finally {
      channel.close();
      await server.close();
    }
  });

  it("opens no connection any more, though the last one failed and the network is back", async () => {
    const server = await startTestServer();
    const proxy = await TcpProxy.to(server.address);
    try {
      proxy.refuse();
      const backoff = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 100 };
      const presence = createPresenceClient({ address: proxy.address, userId: "tony", channelOptions: backoff });
      const subscription = presence.channel("room").subscribe();
      const refused = presence.channel("room").count();
      await assert.rejects(refused, /No connection established/);
      await presence.close();
      assert.equal(subscription.status.state, "closed");
      const attempt = nextEvent<[Socket]>(proxy.server, "connection");
      proxy.flow();
      const [socket] = await attempt;
      if (!socket.destroyed) await nextEvent(socket, "close");
    } finally {
      await proxy.close();
      await server.close();
    }
  });
});
