import assert from "node:assert/strict";
import { connect as connectSocket } from "node:net";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { callHeaders, FLAG, FRAME, frame, indexedCalls, PREFACE, resets } from "./raw_connection.js";

/** Byte streams that are tried; `ROLLCALL_RUNS=5` tries 10,000. */
const STREAMS = 2000 * Number(process.env.ROLLCALL_RUNS ?? 1);
const SEED = Number(process.env.ROLLCALL_SEED ?? 1);
const AT_ONCE = 50;
const MIB = 1024 * 1024;

/** Random numbers that are the same for the same seed (mulberry32): from 0 up to, and without, `below`. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What clients send that mean well, to be changed here and there. */
const SESSIONS: readonly Buffer[] = [
  Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), ...[1, 3, 5].map(indexedCalls("/grpc.health.v1.Health/Check"))]),
  Buffer.concat([
    PREFACE,
    frame(FRAME.SETTINGS, 0, 0),
    frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, callHeaders("SubscribePresence", { "x-user-id": "mallory" })),
    frame(FRAME.DATA, FLAG.END_STREAM, 1, Buffer.from([0, 0, 0, 0, 9, 10, 7, 8, 1, 18, 3, 97, 98, 99, 0])),
    frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])),
    frame(FRAME.PING, 0, 0, Buffer.alloc(8)),
  ]),
  Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), resets(5)]),
  Buffer.from(
    "POST /presence.v1.PresenceService/GetState HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
  ),
];

function randomStream(below: (below: number) => number): Buffer {
  const bytes = (most: number): Buffer => Buffer.from(Array.from({ length: below(most + 1) }, () => below(256)));
  const anyFrame = (): Buffer => frame(below(12), below(256), below(8), bytes(80));
  switch (below(4)) {
    case 0:
      return bytes(400);
    case 1:
      return Buffer.concat([PREFACE, bytes(400)]);
    case 2:
      return Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), ...Array.from({ length: below(20) }, anyFrame)]);
    default: {
      const changed = Buffer.from(SESSIONS[below(SESSIONS.length)]!);
      for (let i = below(6); i > 0; i--) changed.writeUInt8(below(256), below(changed.length));
      return changed.subarray(0, changed.length - below(2) * below(changed.length));
    }
  }
}

describe("random bytes on the port", () => {
  let server: ServerUnderTest;
  let honest: ReturnType<typeof connect>;

  beforeEach(async () => {
    server = await ServerUnderTest.start({ keepalive: 1000, keepaliveTimeout: 1000 });
    honest = connect(server.address);
  });

  afterEach(async () => {
    honest.channel.close();
    await server.stop();
  });

  /** Sends random byte streams over so many connections at a time, with a call of somebody else after each lot. */
  async function sendRandom(below: (below: number) => number, count: number): Promise<void> {
    for (let sent = 0; sent < count; sent += AT_ONCE) {
      const sockets = Array.from({ length: AT_ONCE }, () => {
        const socket = connectSocket(Number(server.address.split(":")[1]), "127.0.0.1");
        socket.on("error", () => {});
        return socket.resume();
      });
      await Promise.all(
        sockets.map(
          (socket) =>
            new Promise((resolve) => {
              socket.once("close", resolve).end(randomStream(below), () => resolve(undefined));
            }),
        ),
      );
      const writing = honest.client.setState({
        channel: message("kept"),
        userId: "kept",
        states: { sent: `${sent}` },
      });
      const { state } = await within(`a call beside connections ${sent} to ${sent + AT_ONCE} of seed ${SEED}`, writing);
      assert.equal(state!.states.sent, `${sent}`);
      for (const socket of sockets) socket.destroy();
    }
    // Node does not read a connection to which it sent GOAWAY, so it is the keepalive that notices their end.
    while ((await server.gauge("rollcall_connections")) > 1) await new Promise(setImmediate);
  }

  it(`${STREAMS} byte streams: others are served, each connection is closed, and memory stays as it was`, async () => {
    const below = generator(SEED);
    await sendRandom(below, 200);
    const before = await server.memory();
    await sendRandom(below, STREAMS);
    const more = await server.memoryBeyond(before, 4 * MIB);
    assert.ok(more < 4 * MIB, `${(more / MIB).toFixed(1)} MiB more`);
  });
});
