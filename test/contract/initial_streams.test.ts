import assert from "node:assert/strict";
import { type ClientHttp2Session, connect as startSession } from "node:http2";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";
import { hs256, SECRET } from "../support/tokens.js";

const channel = message("room");
const POST = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
const HEALTH = { ...POST, ":path": "/grpc.health.v1.Health/Check" };
const LIST = { ...POST, ":path": "/presence.v1.PresenceService/ListUserChannels" };

/** How many streams a connection may have before and after a call over it was authenticated (S21). */
describe("streams of a connection", () => {
  let server: RollcallServer;
  let session: ClientHttp2Session;

  afterEach(async () => {
    session?.destroy();
    await server.close();
  });

  async function start(settings: Partial<ServerSettings> = {}): Promise<void> {
    server = await startTestServer(settings);
    session = startSession(`http://${server.address}`);
    await settingsCame();
  }

  /** The limit in the next SETTINGS of the server. */
  function settingsCame(): Promise<number | undefined> {
    const came = new Promise<number | undefined>((resolve) => {
      session.once("remoteSettings", ({ maxConcurrentStreams }) => resolve(maxConcurrentStreams));
    });
    return within("SETTINGS of the server", came);
  }

  function call(headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const stream = session.request(headers).resume();
      stream.once("error", reject).end(Buffer.alloc(5));
      let code: unknown;
      stream.on("response", (answer) => {
        code = answer["grpc-status"] ?? code;
      });
      stream.on("trailers", (trailers) => {
        code = trailers["grpc-status"] ?? code;
      });
      stream.once("close", () => resolve(Number(code)));
    });
  }

  it("100 at first, and more with the first call of a trusted caller", async () => {
    await start();
    assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
    const raised = settingsCame();
    assert.equal(await call({ ...LIST, "x-user-id": "anna" }), 0);
    assert.equal(await raised, 400);
  });

  it("100 as long as calls have no token, or a bad one, or are for health; more with a good one", async () => {
    await start({ tokenSecret: SECRET });
    for (let i = 0; i < 5; i++) {
      assert.equal(await call(HEALTH), 0);
      assert.equal(await call(LIST), 16);
      assert.equal(await call({ ...LIST, authorization: "Bearer forged" }), 16);
    }
    assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
    const raised = settingsCame();
    const token = hs256();
    assert.equal(await call({ ...LIST, authorization: `Bearer ${token}` }), 0);
    assert.equal(await raised, 400);
  });

  it("more with a call that is authenticated and answered NOT_FOUND", async () => {
    await start();
    const raised = settingsCame();
    assert.equal(await call({ ...POST, ":path": "/presence.v1.PresenceService/GetState", "x-user-id": "anna" }), 3);
    assert.equal(await raised, 400);
  });

  it("all once more calls were admitted", async () => {
    await start();
    for (let i = 0; i < 850; i++) await call({ ...LIST, "x-user-id": "anna" });
    assert.equal(session.remoteSettings.maxConcurrentStreams, 2000);
  });

  it("never more than --max-streams-per-connection", async () => {
    await start({ maxStreamsPerConnection: 10 });
    assert.equal(session.remoteSettings.maxConcurrentStreams, 10);
    await call({ ...LIST, "x-user-id": "anna" });
    // Whatever SETTINGS came with the call would have come before this.
    await call(HEALTH);
    assert.equal(session.remoteSettings.maxConcurrentStreams, 10);
  });

  it("a client of grpc-js that opens 1,000 streams at once on a new connection gets them all", async () => {
    await start();
    const { client, channel: connection } = connect(server.address);
    const listeners = Array.from({ length: 1000 }, (_, i) => new Listener(client, { channel, userId: `user ${i}` }));
    await Promise.all(listeners.map((listener) => listener.expect("subscribed")));
    for (const listener of listeners) listener.cancel();
    connection.close();
  });
});
