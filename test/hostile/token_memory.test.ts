import assert from "node:assert/strict";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { ServerUnderTest } from "../support/server_under_test.js";
import { hs256, SECRET } from "../support/tokens.js";

const TOKENS = 1000;
const MIB = 1024 * 1024;

describe("the server's memory after many variants of one token", () => {
  let server: ServerUnderTest;

  beforeEach(async () => {
    server = await ServerUnderTest.start({ tokenSecret: SECRET, rateLimit: 1, rateBurst: 1 });
  });
  afterEach(() => server.stop());

  it("is as it was before", async () => {
    const token = hs256();
    let client: ClientHttp2Session | undefined;
    const call = async (spaces: number): Promise<void> => {
      // The server ends a connection on which too many calls are refused.
      if (!client || client.closed || client.destroyed) {
        client = connectHttp2(`http://${server.address}`).on("error", () => {});
      }
      const stream = client.request({
        ":method": "POST",
        ":path": "/presence.v1.PresenceService/SetState",
        "content-type": "application/grpc",
        te: "trailers",
        authorization: `Bearer ${" ".repeat(spaces)}${token}`,
      });
      const closed = new Promise((resolve) => stream.on("error", () => {}).once("close", resolve));
      stream.resume().end(Buffer.alloc(5));
      await closed;
    };
    await call(1);
    const before = await server.memory();
    for (let i = 0; i < TOKENS; i++) await call(55_000 + i);
    const grown = await server.memoryBeyond(before, 16 * MIB);
    client!.destroy();
    assert.ok(grown < 16 * MIB, `${Math.round(grown / MIB)} MiB more`);
  });
});
