import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as startSession } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { credentials } from "@grpc/grpc-js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { callHeaders, FRAME, frame, headerBlock, PREFACE, resets } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { makeAuthority } from "../support/certificates.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const room = message("room");
const GREETING = Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]);
const NO_HTTP2 = Buffer.from("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");

/** A header block without an end: more than Node takes. */
function endlessHeaders(stream: number): Buffer {
  const part = headerBlock({ "x-more": "y".repeat(10_000) });
  const more = Array.from({ length: 20 }, () => frame(FRAME.CONTINUATION, 0, stream, part));
  return Buffer.concat([frame(FRAME.HEADERS, 0, stream, callHeaders("GetState")), ...more]);
}

/** Resolves when a connection is over, however it ends. */
function closed(one: Socket): Promise<void> {
  return new Promise((resolve) => one.once("close", () => resolve()));
}

/** Connections of an address that wastes one after the other, over real sockets; time goes on as the test says (S21). */
describe("wasted connections", () => {
  let clock: ManualClock;
  let server: RollcallServer;
  let folder: string;
  const open: { close(): unknown }[] = [];

  beforeEach(() => {
    clock = new ManualClock();
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-wasted-"));
  });

  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    const closed = server.close();
    clock.advance(10_000);
    await closed;
    rmSync(folder, { recursive: true });
  });

  async function start(settings: Partial<ServerSettings> = {}): Promise<void> {
    server = await startTestServer({ metrics: { host: "127.0.0.1", port: 0 }, ...settings }, { clock });
  }

  const count = (which: "waiting" | "refused" | "") =>
    gauge(server.metricsAddress, which ? `rollcall_${which}_connections` : "rollcall_connections");

  async function until(what: () => Promise<boolean>): Promise<void> {
    while (!(await what())) await new Promise(setImmediate);
  }

  /** A client on a connection of its own, which it opens with its first call. */
  function enter(userId: string, shown = {}) {
    const { client, channel } = connect(server.address, userId, shown);
    open.push(channel);
    return (value: string) => client.setState({ channel: room, states: { value } });
  }

  function socket(localAddress = "127.0.0.1"): Socket {
    const [host, port] = server.address.split(":") as [string, string];
    const one = connectSocket({ host, port: Number(port), localAddress });
    one.on("error", () => {});
    open.push({ close: () => one.destroy() });
    return one;
  }

  /** Sends that, and waits for the server to hang up. */
  async function isCut(sent: Buffer): Promise<void> {
    const one = socket().resume();
    one.write(sent);
    await closed(one);
  }

  /** Sends that, takes an answer, and hangs up. */
  async function goesAway(sent: Buffer): Promise<void> {
    const before = await count("");
    const one = socket();
    one.write(sent);
    await once(one, "data");
    one.destroy();
    await until(async () => (await count("")) === before);
  }

  /** A call that is served, and then that. */
  async function isServedAndCut(sent: Buffer): Promise<void> {
    const one = socket();
    const session = startSession(`http://${server.address}`, { createConnection: () => one });
    session.on("error", () => {});
    const call = session.request({
      ":method": "POST",
      ":path": "/presence.v1.PresenceService/ListUserChannels",
      "content-type": "application/grpc",
      te: "trailers",
      "x-user-id": "mallory",
    });
    call.on("error", () => {});
    call.end(Buffer.alloc(5));
    call.resume();
    const [trailers] = await once(call, "trailers");
    assert.equal(trailers["grpc-status"], "0");
    one.write(sent);
    await closed(one);
  }

  /** Wastes a connection, and waits until the server knows, which hears of its end after its client. */
  async function waste(how: () => Promise<void>): Promise<void> {
    await how();
    await until(async () => (await count("")) <= 1);
  }

  /** Somebody new from the same address has to wait until the clock says so. */
  async function othersWait(shown = {}): Promise<void> {
    const late = enter("late", shown)("late");
    await until(async () => (await count("waiting")) === 1);
    clock.advance(199);
    assert.equal(await count("waiting"), 1);
    clock.advance(1);
    await late;
    assert.equal(await count("waiting"), 0);
  }

  for (const [what, how] of [
    ["is cut for speaking no HTTP/2", () => isCut(NO_HTTP2)],
    ["is cut for headers without an end, even though a call was served", () => isServedAndCut(endlessHeaders(101))],
    ["is cut for resetting its calls, even though one was served", () => isServedAndCut(resets(60, 50))],
    ["goes away by itself with no call served", () => goesAway(GREETING)],
  ] as const)
    it(`after one that ${what} the next waits`, async () => {
      await start();
      await waste(how);
      await othersWait();
    });

  it("those that are open are served meanwhile, and so are other addresses", async function () {
    // Only Linux has all of 127.0.0.0/8 without being told.
    if (process.platform !== "linux") {
      this.test!.title += " (skipped: 127.0.0.2 is not an address here)";
      this.skip();
    }
    await start();
    const anna = enter("anna");
    await anna("before");
    await waste(() => isCut(NO_HTTP2));
    const late = enter("late")("late");
    await until(async () => (await count("waiting")) === 1);
    for (let i = 0; i < 20; i++) await anna(`${i}`);
    const elsewhere = socket("127.0.0.2");
    elsewhere.write(GREETING);
    await once(elsewhere, "data");
    assert.equal(await count("waiting"), 1);
    clock.advance(200);
    await late;
  });

  it("a failed TLS handshake is one", async () => {
    const authority = makeAuthority();
    const { cert, key } = authority.issue("server");
    const [tlsCert, tlsKey] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
    await start({ tlsCert, tlsKey });
    await waste(() => isCut(NO_HTTP2));
    await othersWait({ credentials: credentials.createSsl(Buffer.from(authority.cert)) });
  });

  it("one that says nothing is none, nor is one over which a call was served", async () => {
    await start();
    for (let i = 0; i < 20; i++) {
      const silent = socket();
      await once(silent, "connect");
      await until(async () => (await count("")) === 1);
      silent.destroy();
      await until(async () => (await count("")) === 0);
      const set = enter(`user ${i}`);
      await set("here");
      open.pop()!.close();
      await until(async () => (await count("")) === 0);
    }
    assert.equal(await count("waiting"), 0);
  });

  it("one that only asked whether the server is well is none", async () => {
    await start();
    const [host, port] = server.address.split(":") as [string, string];
    for (let i = 0; i < 20; i++) {
      const session = startSession(`http://${host}:${port}`);
      const call = session.request({
        ":method": "POST",
        ":path": "/grpc.health.v1.Health/Check",
        "content-type": "application/grpc",
        te: "trailers",
      });
      call.end(Buffer.alloc(5));
      call.resume();
      await once(call, "end");
      session.destroy();
      await until(async () => (await count("")) === 0);
    }
    assert.equal(await count("waiting"), 0);
    await enter("at once")("at once");
  });

  it("with the limit off nobody waits", async () => {
    await start({ wastedConnectionDelay: 0 });
    await waste(() => isCut(NO_HTTP2));
    await waste(() => isCut(NO_HTTP2));
    await enter("at once")("at once");
  });

  it("who waits counts for how many an address may have", async () => {
    await start({ maxConnectionsPerAddress: 3 });
    await waste(() => isCut(NO_HTTP2));
    for (let i = 0; i < 3; i++) socket().write(GREETING);
    await until(async () => (await count("waiting")) === 3);
    await isCut(GREETING);
    assert.equal(await count("refused"), 1);
  });

  it("who waits is cut when the server goes down (S24)", async () => {
    await start();
    await waste(() => isCut(NO_HTTP2));
    const late = socket();
    late.write(GREETING);
    await until(async () => (await count("waiting")) === 1);
    const cut = closed(late);
    await server.close();
    await cut;
  });
});
