import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { ListOnlineUsersRequestSchema } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { framed, Http2Calls } from "../support/http2_calls.js";
import { startTestServer } from "../support/server.js";

const LIST = "/presence.v1.PresenceService/ListOnlineUsers";
const request = toBinary(
  ListOnlineUsersRequestSchema,
  create(ListOnlineUsersRequestSchema, { channel: message("room"), countOnly: true }),
);

describe("requests with gzip", () => {
  let server: RollcallServer;
  const connections: Http2Calls[] = [];

  beforeEach(async () => {
    server = await startTestServer();
  });

  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close();
    await server.close();
  });

  function open(): Http2Calls {
    const connection = new Http2Calls(server.address);
    connections.push(connection);
    return connection;
  }

  it("300 at once on one connection are all answered", async () => {
    const client = open();
    await client.call(LIST, request).status;
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => client.call(LIST, request, { gzip: true }).status),
    );
    assert.deepEqual(new Set(answers.map(({ code }) => code)), new Set([0]));
  });

  for (const [what, body] of [
    ["no bytes", Buffer.alloc(0)],
    ["half of a message", framed(request, { gzip: true }).subarray(0, 12)],
  ] as const)
    it(`calls of which ${what} have arrived do not delay other connections`, async () => {
      const stranger = open();
      for (let i = 0; i < 90; i++) {
        const { stream, status } = stranger.begin(LIST, { "grpc-encoding": "gzip" });
        status.catch(() => {});
        stream.write(body);
      }
      // Answered in the order of their frames, so the server has seen the calls by then.
      await stranger.call(LIST, request).status;
      const { code } = await within("a call", open().call(LIST, request, { gzip: true }).status);
      assert.equal(code, 0);
    });
});
