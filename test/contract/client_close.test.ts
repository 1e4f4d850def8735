import assert from "node:assert/strict";
import { createPresenceClient, type PresenceClient, PresenceError } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { startTestServer } from "../support/server.js";

describe("the client's close() and the server's limits", () => {
  let server: RollcallServer;
  const clients: PresenceClient[] = [];

  async function start(settings: Partial<ServerSettings>): Promise<void> {
    server = await startTestServer(settings);
  }

  function clientOf(userId: string): PresenceClient {
    const client = createPresenceClient({ address: server.address, userId });
    clients.push(client);
    return client;
  }

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await server.close();
  });

  it("close() is a leave where the server takes cancels for disconnects", async () => {
    await start({ leaveOnCancel: false });
    const watching = clientOf("anna").channel("room").subscribe();
    await watching.ready;
    const events = watching[Symbol.asyncIterator]();
    const next = async () => (await events.next()).value?.kind;
    assert.deepEqual([await next(), await next()], ["subscribed", "snapshot"]);
    const subscription = clientOf("tony").channel("room").subscribe();
    await subscription.ready;
    await subscription.close();
    assert.equal(await clientOf("bob").channel("room").count(), 1);
    assert.deepEqual([await next(), await next()], ["join", "leave"]);
  });

  it("close() in the same tick as subscribe() leaves nobody present", async () => {
    await start({});
    const presence = clientOf("tony");
    await presence.channel("first").subscribe().ready;
    const room = presence.channel("room");
    for (let i = 0; i < 40; i++) await room.subscribe().close();
    assert.equal(await room.count(), 0);
  });

  it("a call that began before the client's close() is carried out, though it waits for the first connection", async () => {
    await start({});
    const presence = clientOf("tony");
    const setting = presence.channel("room").setState({ a: "1" });
    await presence.close();
    assert.equal((await setting).pending, true);
    const late = presence.channel("room").setState({ a: "2" });
    await assert.rejects(late, (error: unknown) => error instanceof PresenceError && error.code === "CANCELLED");
  });

  it("a stream beyond the server's limit of a connection fails with the reason", async () => {
    await start({ maxStreamsPerConnection: 10, rateLimit: 0 });
    const presence = clientOf("tony");
    const rooms = Array.from({ length: 10 }, (_, i) => presence.channel(`room ${i}`).subscribe());
    await Promise.all(rooms.map(({ ready }) => ready));
    const another = presence.channel("another").subscribe({ reconnect: { connectTimeoutMs: 200 } });
    await assert.rejects(another.closed, (error: unknown) => {
      assert.ok(error instanceof PresenceError);
      assert.match(error.message, /no answer within 200 ms: 11 calls and streams of this client are open/);
      return true;
    });
  });
});
