import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, message } from "../support/calls.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import type { Arrival } from "../support/crowd_process.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { Monitor } from "./monitor.js";

const CLIENTS = 20;

describe("A server that goes, comes back, or stands still (S24, S5)", function () {
  this.timeout(60_000);
  let server: ServerUnderTest;
  let crowd: Crowd;
  const users = Array.from({ length: CLIENTS }, (_, n) => `user${n}`);

  beforeEach(async () => {
    server = await ServerUnderTest.start();
    crowd = await startCrowd();
    const arrival: Arrival = {
      address: server.address,
      channel: "room",
      users,
      presenceTimeoutMs: 3000,
      reconnect: { minDelayMs: 100, maxDelayMs: 500 },
      keepalive: [500, 500],
      initialStates: { Mic: "True" },
    };
    await crowd.ask("enter", arrival);
  });

  afterEach(async () => {
    await crowd.end();
    await server.stop();
  });

  async function anotherAtTheSameAddress(): Promise<void> {
    const [host, port] = server.address.split(":");
    server = await ServerUnderTest.start({ listen: { host: host!, port: Number(port) } });
  }

  /** Resolves when the server and all clients hold that everybody is there, each with this state. */
  async function allAreBack(): Promise<void> {
    const { client, channel } = connect(server.address);
    for (;;) {
      const page = await client.listOnlineUsers({ channel: message("room"), includeStates: true });
      const truth = new Map(page.users.map(({ userId, states }) => [userId, { ...states }] as const));
      const views = [...(await crowd.ask("views")).values()];
      const isWhole = (held: ReadonlyMap<string, Readonly<Record<string, string>>>) =>
        held.size === CLIENTS && [...held.values()].every(({ Mic }) => Mic === "True");
      if (isWhole(truth) && views.every(({ status, members }) => status === "live" && isWhole(members))) break;
      await sleep(20);
    }
    channel.close();
  }

  it("clients that it sent away with SIGTERM come back to the next one, with their states", async () => {
    await server.terminate();
    await anotherAtTheSameAddress();
    await allAreBack();
  });

  it("clients of one that was killed come back to the next one, with their states", async () => {
    await server.stop();
    await anotherAtTheSameAddress();
    await allAreBack();
  });

  it("one that stood still times nobody out who could not be heard meanwhile, and everybody whom it should", async () => {
    const { client, channel } = connect(server.address);
    const ttl = { seconds: 1n };
    const lease = async (userId: string) =>
      (await client.joinChannel({ channel: message("leases"), userId, ttl })).sessionId;
    const kept = await lease("kept");
    await lease("left to run out");
    const monitor = await Monitor.start(server.address, "leases");

    server.signal("SIGSTOP");
    await sleep(4000);
    const renewed = client.heartbeat({ sessionIds: [kept], ttl: { seconds: 300n } });
    server.signal("SIGCONT");
    assert.deepEqual((await renewed).expiredSessionIds, []);
    await allAreBack();

    const [gone] = await monitor.gone(1);
    assert.equal(gone!.userId, "left to run out");
    assert.deepEqual([...(await monitor.everybody()).users.keys()], ["kept"]);
    monitor.close();
    channel.close();
  });
});
