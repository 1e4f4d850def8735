import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect as startSession } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";

const PATH = "/presence.v1.PresenceService/ListUserChannels";
const POST = { ":method": "POST", ":path": PATH, te: "trailers", "x-user-id": "anna" };
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Requests on the gRPC port that another protocol makes, or a client of gRPC that is broken (S22). */
describe("requests that are not gRPC, or not whole", () => {
  let server: RollcallServer;
  let session: ClientHttp2Session;

  beforeEach(async () => {
    server = await startTestServer();
    session = startSession(`http://${server.address}`);
  });

  afterEach(async () => {
    session.destroy();
    await server.close();
  });

  /** Makes a request; gives the headers and the text of its answer. */
  async function ask(headers: Record<string, string>, body: Uint8Array = EMPTY_MESSAGE) {
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => {});
    stream.end(body);
    let text = "";
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    const [answer] = await once(stream, "response");
    await once(stream, "close");
    return { answer, text };
  }

  /** The session still serves calls of gRPC. */
  async function isServed(): Promise<void> {
    const { answer } = await ask({ ...POST, "content-type": "application/grpc" });
    assert.equal(answer[":status"], 200);
  }

  for (const type of [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpcx",
    "application/json",
    "text/plain",
    undefined,
  ])
    it(`content type ${type}: 415, and a line that says what it must be`, async () => {
      const { answer, text } = await ask({ ...POST, ...(type !== undefined && { "content-type": type }) });
      assert.equal(answer[":status"], 415);
      assert.equal(answer["grpc-status"], undefined);
      assert.match(text, /content-type must be application\/grpc, not ".*"\n$/);
      await isServed();
    });

  for (const type of ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"])
    it(`content type ${type}: served`, async () => {
      const { answer } = await ask({ ...POST, "content-type": type });
      assert.equal(answer[":status"], 200);
    });

  for (const method of ["GET", "PUT", "DELETE", "OPTIONS"])
    it(`${method}: 405, and a line that says what it must be`, async () => {
      const { answer, text } = await ask({ ":method": method, ":path": "/" });
      assert.equal(answer[":status"], 405);
      assert.equal(answer.allow, "POST");
      assert.equal(text, "this port speaks gRPC: requests are POST, over HTTP/2\n");
      await isServed();
    });

  it("GET of more requests than a connection may have streams open: each is answered", async () => {
    for (let i = 0; i < 300; i++) assert.equal((await ask({ ":method": "GET", ":path": "/" })).answer[":status"], 405);
  });

  for (const [what, body, says] of [
    ["no message", [], "the request ended without a message"],
    ["part of the prefix", [0, 0, 0], "the request ended after 3 of the 5 bytes before a message"],
    ["a part of the message", [0, 0, 0, 0, 100, 1, 2, 3], "the request ended after 3 of the 100 bytes of its message"],
  ] as const)
    it(`a request with ${what}: INVALID_ARGUMENT, and says so`, async () => {
      const { answer } = await ask({ ...POST, "content-type": "application/grpc" }, Buffer.from(body));
      assert.equal(Number(answer["grpc-status"]), status.INVALID_ARGUMENT);
      assert.equal(decodeURI(String(answer["grpc-message"])), says);
      await isServed();
    });
});
