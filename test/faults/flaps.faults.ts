import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Absence } from "../guarantees/lives.js";
import { noFlaps } from "../guarantees/no_flaps.js";
import type { Arrival, CrowdCalls } from "../support/crowd_process.js";
import { Remote } from "../support/remote.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

const CROWD = new URL("../support/crowd_process.ts", import.meta.url);
const KEEPALIVE_MS = 300;
const ANSWER_MS = 300;
const PRESENCE_TIMEOUT_MS = 2500;
const CLIENTS = 100;

describe("No flaps: a return within the grace is silent (S4)", function () {
  this.timeout(60_000);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let monitor: Monitor;
  let crowd: Remote<CrowdCalls>;
  const users = Array.from({ length: CLIENTS }, (_, n) => `user${n}`);

  beforeEach(async () => {
    server = await ServerUnderTest.start({ keepalive: KEEPALIVE_MS, keepaliveTimeout: ANSWER_MS });
    proxy = await TcpProxy.to(server.address);
    monitor = await Monitor.start(server.address, "room");
    crowd = await Remote.start<CrowdCalls>(CROWD);
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

  afterEach(async () => {
    await crowd.end();
    monitor.close();
    await proxy.close();
    await server.stop();
  });

  /** Lets the network fail for a time; gives what was heard of those whose connections it carried, and the events. */
  async function disturb(fail: () => void, ms: number) {
    const changesBefore = monitor.changes.length;
    const from = performance.now();
    fail();
    await sleep(ms);
    proxy.flow();
    await crowd.ask("live");
    const to = performance.now();
    // Whoever was not really back would be missed by now.
    await sleep(PRESENCE_TIMEOUT_MS + KEEPALIVE_MS + ANSWER_MS);
    await monitor.settled();
    const absences: Absence[] = users.map((userId) => ({ userId, from, to }));
    assert.deepEqual(noFlaps(absences, monitor.moves, Number.POSITIVE_INFINITY), []);
    assert.deepEqual(monitor.changes.slice(changesBefore), [], "not one event of any kind");
    await everybodyAgrees();
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
    disturb(() => proxy.vanish(), 1200));

  it("nothing is heard of clients on a slow line, or on one that trickles", async () => {
    await disturb(() => proxy.delay(200), 1000);
    await disturb(() => proxy.trickle(50), 1000);
  });

  it("nothing is heard of clients that are stopped for less than the keepalive and the grace together", () =>
    disturb(() => {
      crowd.signal("SIGSTOP");
      setTimeout(() => crowd.signal("SIGCONT"), 1200);
    }, 1200));

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
