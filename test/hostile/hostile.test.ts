import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, message } from "../support/calls.js";
import { Remote } from "../support/remote.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import type { AttackerCalls } from "./attacker_process.js";
import { ATTACKS } from "./attacks.js";

/** What the server may hold more while it is attacked than before. */
const MOST_MORE_BYTES = 100 * 1024 * 1024;

const SETTINGS = {
  keepalive: 1000,
  keepaliveTimeout: 1000,
  requestTimeout: 2000,
  maxUnfinishedBytes: 16 * 1024 * 1024,
};

/** What is said of an attack goes to the report, unless nobody asked for it. */
const isReporting = Boolean(process.env.ROLLCALL_HOSTILE_REPORT);
const tell = isReporting ? console.log : () => {};

/** So many calls make a p99, and for so long, in ms, an attack is repeated to get them. */
const ENOUGH_CALLS = 500;
const MOST_REPEATING_MS = 20_000;

/** A process that takes every byte and answers none. */
const SINK = `
  const sink = require("node:net").createServer((socket) => socket.on("error", () => {}).resume());
  sink.listen(0, "127.0.0.1", () => console.log(sink.address().port));
`;

function startAttacker(): Promise<Remote<AttackerCalls>> {
  return Remote.start<AttackerCalls>(new URL("./attacker_process.ts", import.meta.url));
}

function p99(latencies: readonly number[]): string {
  const sorted = [...latencies].sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length * 0.99)]?.toFixed(1)} ms of ${sorted.length}`;
}

describe("hostile transports (S21, S22)", function () {
  this.timeout(120_000);
  let server: ServerUnderTest;
  let attacker: Remote<AttackerCalls>;
  let honest: ReturnType<typeof connect>;

  before(async () => {
    attacker = await startAttacker();
  });

  after(() => attacker.end());

  beforeEach(async () => {
    server = await ServerUnderTest.start(SETTINGS);
    honest = connect(server.address);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        honest.client.setState({
          channel: message("crowd"),
          userId: `user ${i}`,
          states: { mood: "x".repeat(1000) },
        }),
      ),
    );
    await joinCrowd();
  });

  afterEach(async () => {
    honest.channel.close();
    await server.stop();
  });

  /** Joins those whose states are written and read; joined again, they stay for another while. */
  async function joinCrowd(): Promise<void> {
    await honest.client.batchJoinChannel({
      requests: Array.from({ length: 100 }, (_, i) => ({ channel: message("crowd"), userId: `user ${i}` })),
    });
  }

  /** Writes and reads, one after the other, until told to stop; each must succeed. */
  async function serve(until: () => boolean): Promise<number[]> {
    const latencies: number[] = [];
    for (let i = 0; !until(); i++) {
      const began = performance.now();
      const userId = `user ${i % 100}`;
      await honest.client.setState({ channel: message("crowd"), userId, states: { i: `${i}` } });
      const { state } = await honest.client.getState({ channel: message("crowd"), userId });
      assert.equal(state?.states.i, `${i}`);
      latencies.push(performance.now() - began);
    }
    return latencies;
  }

  /** How long the well-behaved client waits with nobody else there, once the server is warm. */
  async function alone(): Promise<number[]> {
    await joinCrowd();
    let calls = 0;
    return serve(() => calls++ >= ENOUGH_CALLS);
  }

  /**
   * How long it waits while nobody weighs the memory: a collection holds the server up too. An attack that is soon over
   * is carried out again and again, until there are calls enough for a p99.
   */
  async function beside(name: string): Promise<number[]> {
    await joinCrowd();
    const latencies: number[] = [];
    const until = performance.now() + MOST_REPEATING_MS;
    while (latencies.length < ENOUGH_CALLS && performance.now() < until) {
      let isOver = false;
      const attacking = attacker.ask("attack", name, server.address).finally(() => {
        isOver = true;
      });
      latencies.push(...(await serve(() => isOver)));
      await attacking;
      await attacker.ask("end");
    }
    return latencies;
  }

  /** What the same attack takes from the well-behaved client when it is on somebody else: the machine. */
  async function besideSink(name: string, forMs: number): Promise<number[]> {
    await joinCrowd();
    // What waits for an answer waits for ever, so it ends with its process.
    const attacker = await startAttacker();
    const sink = spawn(process.execPath, ["-e", SINK], { stdio: ["ignore", "pipe", "inherit"] });
    const [port] = (await once(sink.stdout, "data")) as [Buffer];
    const latencies: number[] = [];
    const until = performance.now() + Math.max(forMs, MOST_REPEATING_MS);
    while (latencies.length < ENOUGH_CALLS && performance.now() < until) {
      let isOver = false;
      const end = () => {
        isOver = true;
      };
      const attacking = attacker.ask("attack", name, `127.0.0.1:${String(port).trim()}`);
      const timer = setTimeout(end, forMs);
      attacking.then(() => attacker.ask("end")).then(end, end);
      latencies.push(...(await serve(() => isOver)));
      clearTimeout(timer);
    }
    await attacker.end();
    sink.kill();
    return latencies;
  }

  for (const [name, { isCut }] of Object.entries(ATTACKS)) {
    it(`${name}: the others are served, and memory stays bounded`, async () => {
      let calls = 0;
      await serve(() => calls++ >= 200);
      const memoryBefore = await server.memory();
      let isOver = false;
      const began = performance.now();
      const attacking = attacker.ask("attack", name, server.address).finally(() => {
        isOver = true;
      });
      let memoryAtMost = 0;
      const weighing = (async () => {
        while (!isOver) {
          memoryAtMost = Math.max(memoryAtMost, await server.memory());
          await Promise.race([attacking, new Promise((resolve) => setTimeout(resolve, 200))]);
        }
      })();
      await serve(() => isOver);
      const outcome = await attacking;
      const attackedMs = performance.now() - began;
      await weighing;
      memoryAtMost = Math.max(memoryAtMost, await server.memory());
      calls = 0;
      const after = await serve(() => calls++ >= 20);
      const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
      tell(
        `${name}: ${outcome.sent}; closed ${outcome.closed} of ${outcome.connections}; ` +
          `memory ${mib(memoryBefore)} to ${mib(memoryAtMost)} MiB`,
      );
      await attacker.ask("end");
      if (isReporting) {
        const quiet = await alone();
        tell(`${name}: p99 ${p99(quiet)} alone, ${p99(await beside(name))} during, ${p99(await alone())} alone again`);
        tell(`${name}, on a sink instead: p99 ${p99(await besideSink(name, attackedMs))}`);
      }
      assert.ok(after.length === 20);
      if (isCut) assert.equal(outcome.closed, outcome.connections);
      assert.ok(memoryAtMost - memoryBefore < MOST_MORE_BYTES, `${mib(memoryAtMost - memoryBefore)} MiB more`);
    });
  }
});
