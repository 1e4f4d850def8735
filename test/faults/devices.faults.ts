import assert from "node:assert/strict";
import { lastLeave } from "../guarantees/last_leave.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

const PRESENCE_TIMEOUT_MS = 1000;
const users = Array.from({ length: 20 }, (_, n) => `user${n}`);

describe("Several devices of one user: first join, last leave (S1, S2, S8)", function () {
  this.timeout(60_000);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let monitor: Monitor;
  let phones: Crowd;
  let laptops: Crowd;

  beforeEach(async () => {
    server = await ServerUnderTest.start({ keepalive: 1000, keepaliveTimeout: 1000 });
    proxy = await TcpProxy.to(server.address);
    monitor = await Monitor.start(server.address, "room");
    [phones, laptops] = await Promise.all([device(proxy.address), device(server.address)]);
  });

  afterEach(async () => {
    await Promise.all([phones.end(), laptops.end()]);
    monitor.close();
    await proxy.close();
    await server.stop();
  });

  async function device(address: string): Promise<Crowd> {
    const crowd = await startCrowd();
    await crowd.ask("enter", {
      address,
      channel: "room",
      users,
      presenceTimeoutMs: PRESENCE_TIMEOUT_MS,
      reconnect: { minDelayMs: 100, maxDelayMs: 200 },
      keepalive: [60_000, 60_000],
    });
    return crowd;
  }

  /** Once all are gone: each came once, and went once. */
  async function checkStays(kind: "leave" | "timeout"): Promise<void> {
    await monitor.gone(users.length, [kind]);
    await monitor.settled();
    const stays = users.map((userId) => ({ userId, to: performance.now() }));
    assert.deepEqual(lastLeave(stays, monitor.moves), []);
    assert.equal((await monitor.everybody()).users.size, 0);
  }

  it("one that is killed is not missed while another is there, and the last one's leave is the leave", async () => {
    await phones.end();
    await laptops.ask("set", users[0]!, { Mic: "True" });
    await laptops.ask("leave", users.slice(1));
    // Their phones are within their grace, and so are they; the first user's laptop is still there.
    await monitor.gone(users.length - 1);
    assert.deepEqual([...(await monitor.everybody()).users], [[users[0], { Mic: "True" }]]);
    await laptops.ask("leave", users.slice(0, 1));
    await monitor.gone(1, ["leave"]);
    await monitor.settled();
    const stays = users.map((userId) => ({ userId, to: performance.now() }));
    assert.deepEqual(lastLeave(stays, monitor.moves), []);
  });

  it("both leave: one leave each", async () => {
    await Promise.all([phones.ask("leave", users), laptops.ask("leave", users)]);
    await checkStays("leave");
  });

  it("one is killed while the other's network is gone without a word: one timeout each", async () => {
    proxy.vanish();
    laptops.signal("SIGKILL");
    await checkStays("timeout");
  });
});
