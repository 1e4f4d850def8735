import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { credentials } from "@grpc/grpc-js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { callHeaders, FLAG, FRAME, frame, headerBlock, PREFACE, RawConnection } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { makeAuthority } from "../support/certificates.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const room = message("room");
const KIB = 1024;
type Set = (value: string) => Promise<unknown>;
const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, "v"]));
const tooManyFields = Buffer.concat([callHeaders("GetState"), headerBlock(fields)]);

/** How fast a connection is read, over real sockets; time goes on as the test says (S21). */
describe("bytes per connection", () => {
  let clock: ManualClock;
  let server: RollcallServer;
  let folder: string;
  const channels: { close(): void }[] = [];

  beforeEach(() => {
    clock = new ManualClock();
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-paced-"));
  });

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    const closed = server.close();
    clock.advance(10_000);
    await closed;
    rmSync(folder, { recursive: true });
  });

  /** A user on a connection of its own that is open. */
  async function enter(userId: string, roots?: string) {
    const secured = roots === undefined ? {} : { credentials: credentials.createSsl(Buffer.from(roots)) };
    const { client, channel } = connect(server.address, userId, secured);
    channels.push(channel);
    const set = (value: string) => client.setState({ channel: room, states: { value } });
    await set("here");
    return set;
  }

  /** Brings 1.2 MB in calls that are refused for what is in them. */
  async function flood(set: (value: string) => Promise<unknown>): Promise<void> {
    for (let i = 0; i < 20; i++) await assert.rejects(set("x".repeat(60_000)), /INVALID_ARGUMENT|RESOURCE_EXHAUSTED/);
  }

  /** Brings 1.2 MB in calls that are served. */
  async function work(set: (value: string) => Promise<unknown>): Promise<void> {
    for (let i = 0; i < 300; i++) await set("x".repeat(4000));
  }

  async function start(settings: Partial<ServerSettings>): Promise<void> {
    server = await startTestServer(settings, { clock });
  }

  async function isHeldWhileOthersAreServed(roots?: string): Promise<void> {
    const flooder = await enter("flooder", roots);
    const honest = await enter("honest", roots);
    await flood(flooder);
    clock.advance(100);
    let isAnswered = false;
    const late = flooder("late").then(() => {
      isAnswered = true;
    });
    for (let i = 0; i < 20; i++) await honest(`${i}`);
    assert.equal(isAnswered, false, "it is not read");
    clock.advance(1000);
    await late;
    for (let i = 0; i < 5; i++) await flooder(`${i}`);
  }

  it("one that brings too much is not read for a while, and the others are", async () => {
    await start({ maxConnectionBytesPerSecond: 1000 * KIB });
    await isHeldWhileOthersAreServed();
  });

  it("the same on TLS", async () => {
    const authority = makeAuthority();
    const { cert, key } = authority.issue("server");
    const file = (name: string, text: string) => {
      writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    await start({
      maxConnectionBytesPerSecond: 1000 * KIB,
      tlsCert: file("cert.pem", cert),
      tlsKey: file("key.pem", key),
    });
    await isHeldWhileOthersAreServed(authority.cert);
  });

  it("what served calls bring does not count", async () => {
    await start({ maxConnectionBytesPerSecond: 1000 * KIB });
    const backEnd = await enter("back end");
    await work(backEnd);
    clock.advance(100);
    await backEnd("at once");
    await flood(backEnd);
    clock.advance(100);
    let isAnswered = false;
    const late = backEnd("late").then(() => {
      isAnswered = true;
    });
    const honest = await enter("honest");
    for (let i = 0; i < 20; i++) await honest(`${i}`);
    assert.equal(isAnswered, false, "nor does it make up for a flood later");
    clock.advance(1000);
    await late;
  });

  it("one that closes while it is not read is gone", async () => {
    await start({ maxConnectionBytesPerSecond: 1000 * KIB, metrics: { host: "127.0.0.1", port: 0 } });
    const count = (which: string) => gauge(server.metricsAddress, `rollcall_${which}`);
    await flood(await enter("flooder"));
    clock.advance(100);
    assert.equal(await count("held_connections"), 1);
    channels.pop()!.close();
    clock.advance(2000);
    while ((await count("connections")) !== 0) await new Promise(setImmediate);
    assert.equal(await count("held_connections"), 0);
  });

  for (const [what, noise] of [
    [
      "calls that HTTP/2 refuses",
      (i: number) => frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, i * 2 + 1, tooManyFields),
    ],
    [
      "no calls at all",
      () =>
        Buffer.concat(Array.from({ length: 500 }, () => frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])))),
    ],
  ] as const)
    it(`one that brings mostly ${what} is cut`, async () => {
      await start({ maxConnectionBytesPerSecond: 1000 * KIB });
      const honest = await enter("honest");
      const flooder = await RawConnection.open(server.address);
      channels.push({ close: () => flooder.destroy() });
      flooder.greet();
      for (let i = 0; i < 20; i++) flooder.send(noise(i));
      let isCut = false;
      flooder.closed().then(() => {
        isCut = true;
      });
      while (!isCut) {
        clock.advance(1);
        await honest("here");
      }
    });

  it("none is cut for its greeting, however low the rate", async () => {
    await start({ maxConnectionBytesPerSecond: 1, metrics: { host: "127.0.0.1", port: 0 } });
    const greets = connectSocket(Number(server.address.split(":")[1]), "127.0.0.1");
    channels.push({ close: () => greets.destroy() });
    greets.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
    const ping = frame(FRAME.PING, 0, 0, Buffer.from("answered"));
    greets.write(ping);
    let read = "";
    while (!read.includes("answered")) read += String((await once(greets, "data"))[0]);
    clock.advance(10);
    await new Promise(setImmediate);
    assert.equal(await gauge(server.metricsAddress, "rollcall_connections"), 1);
  });

  for (const [what, calls] of [
    ["many", async (set: Set) => void (await Promise.all(Array.from({ length: 2000 }, () => set("x"))))],
    ["large", (_: Set, batch: () => Promise<unknown>) => batch()],
    ["too large", (set: Set) => assert.rejects(set("x".repeat(3_000_000)), /RESOURCE_EXHAUSTED/)],
  ] as const)
    it(`one whose calls are ${what} is not`, async () => {
      await start({ maxConnectionBytesPerSecond: 1000 * KIB, metrics: { host: "127.0.0.1", port: 0 } });
      const { client, channel } = connect(server.address, "backend");
      channels.push(channel);
      const set = (value: string) => client.setState({ channel: room, states: { value } });
      const user = (i: number) => ({
        channel: room,
        userId: `user ${i}`,
        states: { a: "x".repeat(4000), b: "x".repeat(4000) },
      });
      await set("here");
      await calls(set, () => client.batchSetState({ requests: Array.from({ length: 100 }, (_, i) => user(i)) }));
      clock.advance(100);
      await new Promise(setImmediate);
      assert.equal(await gauge(server.metricsAddress, "rollcall_connections"), 1);
    });

  for (const [what, settings] of [
    ["with the limit off", { maxConnectionBytesPerSecond: 0 }],
    ["within the rate", { maxConnectionBytesPerSecond: 16_000 * KIB }],
  ] as const)
    it(`${what} none is held`, async () => {
      await start(settings);
      const set = await enter("ann");
      await flood(set);
      clock.advance(100);
      await set("at once");
    });
});
