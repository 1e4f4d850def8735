import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Absence } from "../guarantees/lives.js";
import { noFlaps } from "../guarantees/no_flaps.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import type { Arrival } from "../support/crowd_process.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

const KEEPALIVE_MS = 1000;
/** Long enough for a machine on which a hundred clients and their network share two cores with others. */
const ANSWER_MS = 1000;
const PRESENCE_TIMEOUT_MS = 6000;
/** Longer than the pings need to find out, and well within the grace. */
const LONG_MS = KEEPALIVE_MS + ANSWER_MS + 500;
const CLIENTS = 100;

describe("No flaps: a return within the grace is silent (S4)", function () {
  this.timeout(60_000);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let monitor: Monitor;
  let crowd: Crowd;
  const users = Array.from({ length: CLIENTS }, (_, n) => `user${n}`);

  before(async () => {
    server = await ServerUnderTest.start({ keepalive: KEEPALIVE_MS, keepaliveTimeout: ANSWER_MS });
    proxy = await TcpProxy.to(server.address);
    monitor = await Monitor.start(server.address, "room");
    crowd = await startCrowd();
    const arrival: Arrival = {
      address: proxy.address,
      channel: "room",
      users,
      presenceTimeoutMs: PRESENCE_TIMEOUT_MS,
      reconnect: { minDelayMs: 200, maxDelayMs: 500 },
      keepalive: [KEEPALIVE_MS, ANSWER_MS],
      initialStates: { Mic: "True" },
    };
    await crowd.ask("enter", arrival);
    await monitor.settled();
  });

  after(async () => {
    await crowd.end();
    monitor.close();
    await proxy.close();
    await server.stop();
  });

  /** Lets the network fail for a time, until all are back: nothing may be heard of it. */
  async function disturb(fail: () => void, ms: number) {
    const changesBefore = monitor.changes.length;
    const from = performance.now();
    fail();
    await sleep(ms);
    proxy.flow();
    await allAreBack();
    const to = performance.now();
    await monitor.settled();
    const absences: Absence[] = users.map((userId) => ({ userId, from, to }));
    assert.deepEqual(noFlaps(absences, monitor.moves, Number.POSITIVE_INFINITY), []);
    assert.deepEqual(monitor.changes.slice(changesBefore), [], "not one event of any kind");
    await everybodyAgrees();
  }

  /** Resolves when clients and server agree that every stream is open; the monitor has one, too. */
  async function allAreBack(): Promise<void> {
    do {
      // The ends of connections that the server gave up must have reached the clients before these are asked.
      await sleep(300);
      await crowd.ask("live");
    } while ((await server.readers("live")) !== CLIENTS + 1);
  }

  async function everybodyAgrees(): Promise<void> {
    const { users: truth } = await monitor.everybody();
    assert.equal(truth.size, CLIENTS);
    for (const [userId, { status, members }] of await crowd.ask("views")) {
      assert.equal(status, "live", userId);
      assert.deepEqual(new Map([...members].sort()), new Map([...truth].sort()), userId);
    }
  }

  it(`${CLIENTS} of ${CLIENTS} clients that are cut off for a second cause no event`, () =>
    disturb(() => proxy.refuse(), 1000));

  it(`${CLIENTS} of ${CLIENTS} clients that are cut off and let back at once cause no event`, () =>
    disturb(() => proxy.cut(), 0));

  it(`${CLIENTS} of ${CLIENTS} clients whose packets are lost for longer than the keepalive cause no event`, () =>
    disturb(() => proxy.vanish(), LONG_MS));

  it("nothing is heard of clients on a slow line, or on one that trickles", async () => {
    await disturb(() => proxy.delay(200), 1000);
    await disturb(() => proxy.trickle(50), 1000);
  });

  it("nothing is heard of clients that are stopped for less than the keepalive and the grace together", () =>
    disturb(() => {
      crowd.signal("SIGSTOP");
      setTimeout(() => crowd.signal("SIGCONT"), LONG_MS);
    }, LONG_MS));

  it("nothing is heard of all that later either, when the graces would have been over", async () => {
    const before = monitor.changes.length;
    await sleep(PRESENCE_TIMEOUT_MS + KEEPALIVE_MS + ANSWER_MS);
    await monitor.settled();
    assert.deepEqual(monitor.changes.slice(before), []);
  });

  it("what they set while away is heard once they are back, and nothing else", async () => {
    const before = monitor.changes.length;
    proxy.refuse();
    const set = Promise.all(users.map((userId) => crowd.ask("set", userId, { Mode: userId })));
    await sleep(300);
    proxy.flow();
    await set;
    await monitor.settled();
    const heard = monitor.changes.slice(before);
    assert.deepEqual(new Set(heard.map(({ kind }) => kind)), new Set(["state"]));
    assert.equal(heard.length, CLIENTS, "one change each");
    for (const { userId, states } of heard) assert.deepEqual(states, { Mic: "True", Mode: userId });
  });
});
