import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, message } from "../support/calls.js";
import { Remote } from "../support/remote.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { goodClaims, hs256, SECRET } from "../support/tokens.js";
import type { AttackerCalls } from "./attacker_process.js";
import { ATTACKS } from "./attacks.js";

const SETTINGS = {
  keepalive: 1000,
  keepaliveTimeout: 1000,
  requestTimeout: 2000,
  maxUnfinishedBytes: 16 * 1024 * 1024,
  resumeTtl: 5000,
};

/** For attacks with tokens: 20 calls a second and user, which the back end below is exempt from. */
const TOKEN_SETTINGS = { tokenSecret: SECRET, rateLimit: 20 };

/** A back end that speaks for all users. */
const BACK_END = hs256({
  claims: goodClaims({
    sub: "backend",
    presence: { channels: [{ pattern: "*", allow: ["subscribe", "write", "read"] }], act_as: ["*"] },
  }),
});

const MIB = 1024 * 1024;
const MAX_MIB = 100;

/** Number of times that the report measures each attack; 0: no report. */
const REPORTS = Number(process.env.ROLLCALL_HOSTILE_REPORT ?? 0);
const tell = REPORTS > 0 ? console.log : () => {};

/** Calls that make a p99, and how long an attack is repeated to get them, in ms. */
const ENOUGH_CALLS = 500;
const MAX_REPEATING_MS = 3000;
/** How long memory that an attack took is waited for in the report, in ms. */
const MAX_RECOVERY_MS = 40_000;

/** A process that takes every byte and answers none. */
const SINK = `
  const sink = require("node:net").createServer((socket) => socket.on("error", () => {}).resume());
  sink.listen(0, "127.0.0.1", () => console.log(sink.address().port));
`;

function startAttacker(): Promise<Remote<AttackerCalls>> {
  return Remote.start<AttackerCalls>(new URL("./attacker_process.ts", import.meta.url));
}

/** What a well-behaved client got done. */
interface Served {
  /** ms; of a write and a read. */
  readonly p99: number;
  readonly perSecond: number;
}

function servedIn(latencies: readonly number[], ms: number): Served {
  const sorted = [...latencies].sort((a, b) => a - b);
  return {
    p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.POSITIVE_INFINITY,
    perSecond: (sorted.length * 1000) / ms,
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

describe("hostile transports (S21, S22)", function () {
  this.timeout(120_000 * (1 + REPORTS));
  let server: ServerUnderTest;
  let attacker: Remote<AttackerCalls>;
  let honest: ReturnType<typeof connect>;

  before(async () => {
    attacker = await startAttacker();
  });

  after(() => attacker.end());

  async function start(needsToken = false): Promise<void> {
    server = await ServerUnderTest.start({ ...SETTINGS, ...(needsToken ? TOKEN_SETTINGS : {}) });
    honest = connect(server.address, undefined, { token: BACK_END });
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
  }

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

  /** Serves the well-behaved client until `until`. */
  async function measure(until: () => boolean): Promise<Served> {
    await joinCrowd();
    const began = performance.now();
    const latencies = await serve(until);
    return servedIn(latencies, performance.now() - began);
  }

  function alone(): Promise<Served> {
    let calls = 0;
    return measure(() => calls++ >= ENOUGH_CALLS);
  }

  /**
   * Measures while an attack is carried out, without weighing memory: a garbage collection delays calls too. A short attack
   * is repeated until there are enough calls for a p99, or the time is over.
   */
  async function during(name: string, by: Remote<AttackerCalls>, address: string, forMs: number): Promise<Served> {
    const latencies: number[] = [];
    let ms = 0;
    const until = performance.now() + Math.max(forMs, MAX_REPEATING_MS);
    while (latencies.length < ENOUGH_CALLS && performance.now() < until) {
      await joinCrowd();
      const began = performance.now();
      let isOver = false;
      const attacking = by.ask("attack", name, address).finally(() => {
        isOver = true;
      });
      attacking.catch(() => {});
      latencies.push(...(await serve(() => isOver || performance.now() > began + forMs)));
      ms += performance.now() - began;
      if (!isOver) break;
      await by.ask("end");
    }
    return servedIn(latencies, ms);
  }

  /** The same attack on another process: what it takes from the well-behaved client by using the machine. */
  async function besideSink(name: string, forMs: number): Promise<Served> {
    // An attack that waits for an answer waits until its process ends.
    const attacker = await startAttacker();
    const sink = spawn(process.execPath, ["-e", SINK], { stdio: ["ignore", "pipe", "inherit"] });
    const [port] = (await once(sink.stdout, "data")) as [Buffer];
    const served = await during(name, attacker, `127.0.0.1:${String(port).trim()}`, forMs);
    await attacker.end();
    sink.kill();
    return served;
  }

  /** Prints a row of the table in docs/security.md. */
  async function report(name: string, attackMs: number): Promise<void> {
    const rounds: [Served, Served, Served][] = [];
    for (let i = 0; i < REPORTS; i++) {
      const quiet = await alone();
      const attacked = await during(name, attacker, server.address, 20_000);
      await attacker.ask("end");
      rounds.push([quiet, attacked, await besideSink(name, attackMs)]);
    }
    const cells = [0, 1, 2].map((i) => {
      const [p99, perSecond] = [
        median(rounds.map((all) => all[i]!.p99)),
        median(rounds.map((all) => all[i]!.perSecond)),
      ];
      return `${p99.toFixed(1)} ms, ${perSecond.toFixed(0)}/s`;
    });
    const slower = median(rounds.map(([, attacked, sink]) => attacked.p99 / sink.p99));
    const served = median(rounds.map(([, attacked, sink]) => attacked.perSecond / sink.perSecond));
    tell(`| ${name} | ${cells.join(" | ")} | ${slower.toFixed(1)} × | ${(served * 100).toFixed(0)} % |`);
  }

  /** Waits until memory is back to what it was before an attack, and returns for how long, in ms. */
  async function recovery(before: number): Promise<number> {
    const began = performance.now();
    while ((await server.memory()) > before + 4 * MIB && performance.now() < began + MAX_RECOVERY_MS)
      await new Promise((resolve) => setTimeout(resolve, 500));
    return performance.now() - began;
  }

  for (const [name, { isCut = false, needsToken, maxMib = MAX_MIB }] of Object.entries(ATTACKS)) {
    it(`${name}: the others are served, and memory stays bounded`, async () => {
      await start(needsToken);
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
      const attackMs = performance.now() - began;
      await weighing;
      memoryAtMost = Math.max(memoryAtMost, await server.memory());
      calls = 0;
      const after = await serve(() => calls++ >= 20);
      await attacker.ask("end");
      const grown = (memoryAtMost - memoryBefore) / MIB;
      tell(`${name}: ${outcome.sent}; closed ${outcome.closed} of ${outcome.connections}; + ${grown.toFixed(0)} MiB`);
      if (REPORTS > 0) {
        tell(`${name}: memory is back after ${((await recovery(memoryBefore)) / 1000).toFixed(1)} s`);
        await report(name, attackMs);
      }
      assert.ok(after.length === 20);
      if (isCut) assert.equal(outcome.closed, outcome.connections);
      assert.ok(grown < maxMib, `${grown.toFixed(0)} MiB more`);
    });
  }
});
