import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, message } from "../support/calls.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

/** Clients, each with a connection of its own; the environment makes a short run longer or shorter. */
const CLIENTS = Number(process.env.ROLLCALL_FAULTS_CLIENTS ?? 1000);
const CHANNELS = 50;
const PROCESSES = 2;
const PRESENCE_TIMEOUT_MS = CLIENTS > 1000 ? 30_000 : 10_000;
/** Where the event loop counts as having stood still. What is promised is less, and is printed: machines are shared. */
const STANDSTILL_MS = 1000;

describe("Storms: everybody loses the connection at the same instant (S3, S4)", function () {
  this.timeout(180_000);
  let server: ServerUnderTest;
  let proxy: TcpProxy;
  let monitors: Monitor[];
  let crowds: Crowd[];

  before(async () => {
    server = await ServerUnderTest.start();
    proxy = await TcpProxy.to(server.address);
    const channels = Array.from({ length: CHANNELS }, (_, n) => `room${n}`);
    monitors = await Promise.all(channels.map((channel) => Monitor.start(server.address, channel)));
    crowds = await Promise.all(Array.from({ length: PROCESSES }, () => startCrowd()));
    const each = CLIENTS / CHANNELS;
    await Promise.all(
      crowds.map(async (crowd, part) => {
        for (let n = part; n < CHANNELS; n += PROCESSES) {
          await crowd.ask("enter", {
            address: proxy.address,
            channel: `room${n}`,
            users: Array.from({ length: each }, (_, i) => `user${n}-${i}`),
            presenceTimeoutMs: PRESENCE_TIMEOUT_MS,
            reconnect: {},
            keepalive: [60_000, 60_000],
          });
        }
      }),
    );
    for (const monitor of monitors) await monitor.settled();
  });

  after(async () => {
    await Promise.all(crowds.map((crowd) => crowd.end()));
    for (const monitor of monitors) monitor.close();
    await proxy.close();
    await server.stop();
  });

  /** Asks the server something all the time, as others would, until told to stop; gives how long it took to answer. */
  function others() {
    const { client, channel } = connect(server.address, "bystander");
    const latencies: number[] = [];
    let stopped = false;
    const asking = (async () => {
      while (!stopped) {
        const began = performance.now();
        await client.setState({ channel: message("elsewhere"), states: { n: `${began}` } });
        latencies.push(performance.now() - began);
        await sleep(10);
      }
    })();
    return {
      async stop() {
        stopped = true;
        await asking;
        channel.close();
        latencies.sort((a, b) => a - b);
        const at = (part: number) => latencies[Math.floor((latencies.length - 1) * part)]!.toFixed(0);
        return `${latencies.length} calls of others answered meanwhile, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`;
      },
    };
  }

  const movesHeard = (): number => monitors.reduce((sum, { moves }) => sum + moves.length, 0);

  it(`${CLIENTS} clients that come back within the grace are not heard of, and others are served meanwhile`, async () => {
    const before = movesHeard();
    await server.stall();
    const bystanders = others();
    const began = performance.now();
    proxy.cut();
    // The cut must have reached the clients before it is asked whether they are back.
    await sleep(100);
    await Promise.all(crowds.map((crowd) => crowd.ask("live")));
    const seconds = (performance.now() - began) / 1000;
    const served = await bystanders.stop();
    const stall = await server.stall();
    for (const monitor of monitors) await monitor.settled();
    console.log(`      all back after ${seconds.toFixed(1)} s; longest stall ${stall.toFixed(0)} ms; ${served}`);
    assert.equal(movesHeard() - before, 0, "not one event");
    assert.ok(stall < STANDSTILL_MS, `the event loop stood still for ${stall} ms`);
  });

  it(`${CLIENTS} clients that stay away are timed out, each once, without a standstill`, async () => {
    const before = movesHeard();
    await server.stall();
    proxy.refuse();
    // Taking five thousand connections down is one thing, and is over well before the first grace is.
    await sleep(PRESENCE_TIMEOUT_MS / 2);
    const cut = await server.stall();
    const bystanders = others();
    await Promise.all(monitors.map((monitor) => monitor.gone(CLIENTS / CHANNELS)));
    const served = await bystanders.stop();
    const stall = await server.stall();
    for (const monitor of monitors) await monitor.settled();
    console.log(`      longest stall ${stall.toFixed(0)} ms, at the cut ${cut.toFixed(0)} ms; ${served}`);
    const ends = monitors.flatMap(({ moves }) => moves.filter(({ kind }) => kind !== "join"));
    assert.equal(movesHeard() - before, CLIENTS);
    assert.equal(new Set(ends.map(({ userId }) => userId)).size, CLIENTS, "each once");
    assert.ok(stall < STANDSTILL_MS, `the event loop stood still for ${stall} ms`);
    assert.equal((await monitors[0]!.everybody()).users.size, 0);
  });
});
