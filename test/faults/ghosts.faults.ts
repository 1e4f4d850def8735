import assert from "node:assert/strict";
import type { Ending } from "../guarantees/lives.js";
import { noGhosts } from "../guarantees/no_ghosts.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import type { Arrival } from "../support/crowd_process.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

const KEEPALIVE_MS = 1000;
const ANSWER_MS = 1000;
const PRESENCE_TIMEOUT_MS = 1000;
/** S5: the longest that a dead user can still be seen. */
const BOUND_MS = KEEPALIVE_MS + ANSWER_MS + PRESENCE_TIMEOUT_MS;
/** How late the bound's timers, and we, may notice on a machine that is busy with a hundred clients. */
const LATE_MS = 500;

const PROCESSES = 10;
const EACH = 10;

describe("No ghosts: gone by the documented bound (S3, S5)", function () {
  this.timeout(60_000);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let monitor: Monitor;
  const crowds: Crowd[] = [];

  beforeEach(async () => {
    server = await ServerUnderTest.start({ keepalive: KEEPALIVE_MS, keepaliveTimeout: ANSWER_MS });
    proxy = await TcpProxy.to(server.address);
    monitor = await Monitor.start(server.address, "room");
  });

  afterEach(async () => {
    await Promise.all(crowds.splice(0).map((crowd) => crowd.end()));
    monitor.close();
    await proxy.close();
    await server.stop();
  });

  async function crowd(name: string, address: string, each: number): Promise<string[]> {
    const remote = await startCrowd();
    crowds.push(remote);
    const users = Array.from({ length: each }, (_, n) => `${name}-${n}`);
    const arrival: Arrival = {
      address,
      channel: "room",
      users,
      presenceTimeoutMs: PRESENCE_TIMEOUT_MS,
      reconnect: { minDelayMs: 100, maxDelayMs: 500 },
      keepalive: [60_000, 60_000],
      initialStates: { Mic: "True" },
    };
    await remote.ask("enter", arrival);
    return users;
  }

  async function check(endings: readonly Ending[]): Promise<void> {
    await monitor.gone(endings.length);
    await monitor.settled();
    const late = monitor.moves.map(({ userId, at }) => `${userId} ${at}`);
    assert.deepEqual(noGhosts(endings, monitor.moves, BOUND_MS + LATE_MS), [], late.join("\n"));
    assert.equal(monitor.moves.filter(({ kind }) => kind !== "join").length, endings.length, "each goes once");
    assert.equal((await monitor.everybody()).users.size, 0);
  }

  it(`${PROCESSES * EACH} of ${PROCESSES * EACH} clients killed with SIGKILL are gone in time, each once`, async () => {
    const names = Array.from({ length: PROCESSES }, (_, n) => `killed${n}`);
    const users = [];
    // Two at a time: a process takes a core for half a second to start.
    for (let n = 0; n < PROCESSES; n += 2) {
      users.push(...(await Promise.all(names.slice(n, n + 2).map((name) => crowd(name, server.address, EACH)))));
    }
    const endings: Ending[] = [];
    for (const [n, remote] of crowds.entries()) {
      remote.signal("SIGKILL");
      endings.push(...users[n]!.map((userId) => ({ userId, at: performance.now() })));
      // Spread over a second, so that the pings stand at any point of their round.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await check(endings);
  });

  it("clients that are stopped for longer than the keepalive are gone in time, and come back as they were", async () => {
    const users = await crowd("stopped", server.address, EACH);
    crowds[0]!.signal("SIGSTOP");
    const at = performance.now();
    await check(users.map((userId) => ({ userId, at })));
    crowds[0]!.signal("SIGCONT");
    await crowds[0]!.ask("live");
    while ((await monitor.everybody()).users.size < EACH) await monitor.settled();
    await statesAre({ Mic: "True" });
  });

  it("clients whose network is gone without a word are gone in time, and come back as they were", async () => {
    const users = await crowd("silent", proxy.address, EACH);
    proxy.vanish();
    const at = performance.now();
    await check(users.map((userId) => ({ userId, at })));
    proxy.flow();
    await statesAre({ Mic: "True" });
  });

  /** Resolves when everybody is there with this state: the clients set again what the server forgot. */
  async function statesAre(states: Record<string, string>): Promise<void> {
    for (;;) {
      const { users } = await monitor.everybody();
      if (users.size === EACH && [...users.values()].every((has) => has.Mic === states.Mic)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
});
