import assert from "node:assert/strict";
import { constants } from "node:http2";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";
import { RawConnection, resets } from "./raw_connection.js";

describe("requests that are reset before they are whole (S21)", () => {
  let server: RollcallServer;
  let connection: RawConnection | undefined;

  beforeEach(async () => {
    server = await startTestServer();
  });

  afterEach(async () => {
    connection?.destroy();
    connection = undefined;
    await server.close();
  });

  it("many of them on a connection end it, long before Node does", async () => {
    connection = await RawConnection.open(server.address);
    connection.greet().send(resets(60));
    await connection.closed();
    assert.equal(connection.goawayCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
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
