import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { checkGuarantees } from "../guarantees/check.js";
import { createHistory, type History } from "../guarantees/history.js";
import { recordBegin, recordEvents } from "../guarantees/record.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { RawReaders } from "../support/raw_readers.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";

/** Readers that keep up, and changes a second; the environment makes a short run of CI into a long one. */
const READERS = Number(process.env.ROLLCALL_FAULTS_READERS ?? 200);
const UPDATES_PER_SECOND = Number(process.env.ROLLCALL_FAULTS_RATE ?? 500);
const SECONDS = Number(process.env.ROLLCALL_FAULTS_SECONDS ?? 3);

const WRITERS = 100;
const KIB = 1024;
const READER_BUFFER = 64 * KIB;
/**
 * What a reader may hold beside its buffer: 128 KiB in the transport's hands, and one message more of at most the same
 * size again, counted twice because grpc-js frames a copy.
 */
const TRANSPORT_BYTES = 192 * KIB;

const room = message("busy");

describe("S16a: readers that do not read", function () {
  this.timeout(120_000 + 4000 * SECONDS);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let readers: RawReaders;
  let calls: ReturnType<typeof connect>;
  let latencies: number[];

  beforeEach(async () => {
    // Who reads nothing answers no ping either; here it is the reading that is looked at, for longer than pings allow.
    const settings = {
      readerBuffer: READER_BUFFER,
      announceMax: 1_000_000,
      laggingTimeout: 300_000,
      keepalive: 300_000,
    };
    server = await ServerUnderTest.start(settings);
    proxy = await TcpProxy.to(server.address);
    calls = connect(server.address);
    readers = new RawReaders(server.address);
    latencies = [];
    for (let i = 0; i < WRITERS; i++) {
      await calls.client.joinChannel({ channel: room, userId: `writer${i}`, ttl: { seconds: 300n } });
    }
    await readers.open("busy", READERS, 10, "reader");
    await readers.decode("busy", "probe", ({ events }) => {
      for (const { event } of events) {
        if (event.case !== "remoteStateChanged") continue;
        const sent = Number(event.value.state?.states.sent);
        if (sent) latencies.push(performance.now() - sent);
      }
    });
  });

  afterEach(async () => {
    readers.close();
    calls.channel.close();
    await proxy.close();
    await server.stop();
  });

  /** Writes at the rate for a time; gives the 99th percentile of the probe's latencies, in ms. */
  async function write(seconds: number): Promise<number> {
    latencies = [];
    const pending: Promise<unknown>[] = [];
    const ticks = seconds * 50;
    const began = performance.now();
    for (let tick = 0, n = 0; tick < ticks; tick++) {
      for (; n < ((tick + 1) * UPDATES_PER_SECOND) / 50; n++) {
        const states = { sent: String(performance.now()), pad: "x".repeat(40) };
        pending.push(calls.client.setState({ channel: room, userId: `writer${n % WRITERS}`, states }));
      }
      await sleep(Math.max(0, began + (tick + 1) * 20 - performance.now()));
    }
    await Promise.all(pending);
    await sleep(200);
    latencies.sort((a, b) => a - b);
    return latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  }

  /** Who is in the channel in the end, and with what, on all pages. */
  async function everybody() {
    const users = new Map<string, Record<string, string>>();
    for (let pageToken = ""; ; ) {
      const page = await calls.client.listOnlineUsers({
        channel: room,
        includeStates: true,
        pageSize: 1000,
        pageToken,
      });
      for (const { userId, states } of page.users) users.set(userId, states);
      if (page.nextPageToken === "") return { users, position: page.position };
      pageToken = page.nextPageToken;
    }
  }

  async function openStalled(count: number) {
    const stalled = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const userId = `stalled${i}`;
        const connection = connect(proxy.address);
        const history = createHistory({ userId });
        recordBegin(history);
        const listener = new Listener(connection.client, { channel: room, userId });
        await listener.opened();
        return { connection, history, listener };
      }),
    );
    return stalled;
  }

  for (const count of [1, 100]) {
    it(`${count} of ${READERS + count + 1} stop reading: the others notice nothing, memory is bounded, and all converge`, async () => {
      await write(1);
      // Measured without those that will stall: while they read, this process has to decode for them, too.
      const before = await write(SECONDS / 2);
      const stalled = await openStalled(count);
      const memoryBefore = await server.memory();

      proxy.stall();
      const during = await write(SECONDS);
      const growth = (await server.memory()) - memoryBefore;
      const notLive = (await server.readers("lagging")) + (await server.readers("resyncing"));
      const allowed = count * (READER_BUFFER + TRANSPORT_BYTES) * 1.1 + 4 * KIB * KIB;
      console.log(
        `      p99 ${before.toFixed(1)} ms before, ${during.toFixed(1)} ms during; memory by ${Math.round(growth / KIB)} KiB, ` +
          `allowed ${Math.round(allowed / KIB)} KiB; lagging ${notLive}`,
      );
      assert.equal(notLive, count, "the metrics count who lags");
      assert.ok(growth < allowed, `memory grew by ${growth} bytes`);
      assert.ok(during < 2 * before + 25, `p99 went from ${before} ms to ${during} ms`);

      proxy.flow();
      const end = await calls.client.setState({ channel: room, userId: "writer0", states: { end: "true" } });
      const final = await everybody();
      const histories = await Promise.all(stalled.map((reader) => readToTheEnd(reader, end.position!.revision)));
      checkGuarantees(histories, { final }, { gapFree: false });
      for (const { connection } of stalled) connection.channel.close();
    });
  }

  it("one that never reads again is ended after lagging_timeout, as a drop", async () => {
    await server.stop();
    server = await ServerUnderTest.start({ laggingTimeout: 1000, presenceTimeout: 500, readerBuffer: READER_BUFFER });
    const own = await TcpProxy.to(server.address);
    const direct = connect(server.address);
    const through = connect(own.address);
    const anna = new Listener(direct.client, { channel: room, userId: "anna" });
    await anna.opened();
    await new Listener(through.client, { channel: room, userId: "stuck" }).opened();
    await anna.expect("remoteJoin");
    own.stall();
    let gone = false;
    const left = anna.expect("remoteTimeout").then(({ $event }) => {
      gone = true;
      return $event;
    });
    // Enough to fill every pipe between the two; then the reader can only wait.
    for (let n = 0; !gone; n++) {
      await direct.client.setState({ channel: room, userId: "anna", states: { pad: `${n}`.padEnd(4096) } });
    }
    assert.equal((await left).userId, "stuck");
    assert.equal((await server.readers("lagging")) + (await server.readers("resyncing")), 0);
    through.channel.close();
    direct.channel.close();
    await own.close();
  });
});

/** Reads until a revision is reached, and then writes everything into the history. */
async function readToTheEnd(
  { listener, history }: { listener: Listener; history: History },
  revision: bigint,
): Promise<History> {
  const heard = (): bigint => listener.messages.at(-1)?.events.at(-1)?.position?.revision ?? 0n;
  while (heard() < revision) await listener.next();
  for (const response of listener.messages) recordEvents(history, response);
  return history;
}
