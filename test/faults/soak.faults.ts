import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { checkGuarantees } from "../guarantees/check.js";
import type { History } from "../guarantees/history.js";
import { lastLeave } from "../guarantees/last_leave.js";
import type { Absence, Ending } from "../guarantees/lives.js";
import { noFlaps } from "../guarantees/no_flaps.js";
import { noGhosts } from "../guarantees/no_ghosts.js";
import { type Crowd, startCrowd } from "../support/crowd.js";
import { within } from "../support/deferred.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { Monitor } from "./monitor.js";

const SEED = Number(process.env.ROLLCALL_FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const MINUTES = Number(process.env.ROLLCALL_FAULTS_MINUTES ?? 0.25);

const KEEPALIVE_MS = 1000;
const ANSWER_MS = 1000;
const PRESENCE_TIMEOUT_MS = 6000;
const BOUND_MS = KEEPALIVE_MS + ANSWER_MS + PRESENCE_TIMEOUT_MS;
const LATE_MS = 1000;
/** How long a fault that nobody is to hear of may last, so that the client is back well within its grace. */
const SHORT_MS = 2500;
/** What a fault may take, a new process and its arrivals included, before the run counts as hung. */
const PATIENCE_MS = 40_000;
const GROUPS = 4;
const EACH = 8;

/** Some users who share a process and a network. */
interface Group {
  readonly name: string;
  readonly proxy: TcpProxy;
  crowd: Crowd;
  users: string[];
  lives: number;
}

/** What may happen next. */
const faults = fc.record({
  group: fc.nat(GROUPS - 1),
  kind: fc.constantFrom("set", "set", "set", "cut", "refuse", "vanish", "delay", "trickle", "stop", "leave", "kill"),
  user: fc.nat(EACH - 1),
  ms: fc.integer({ min: 10, max: SHORT_MS }),
});

describe(`Soak: random faults for ${MINUTES} minutes, seed ${SEED}`, function () {
  this.timeout(MINUTES * 60_000 + 120_000);
  let server: ServerUnderTest;
  let monitor: Monitor;
  let groups: Group[];
  /** Histories of users who left. */
  let left: History[];
  const endings: Ending[] = [];
  const absences: Absence[] = [];
  const departed = new Set<string>();

  before(async () => {
    server = await ServerUnderTest.start({ keepalive: KEEPALIVE_MS, keepaliveTimeout: ANSWER_MS });
    monitor = await Monitor.start(server.address, "room");
    left = [];
    groups = await Promise.all(
      Array.from({ length: GROUPS }, async (_, n) => {
        const proxy = await TcpProxy.to(server.address);
        return { name: `g${n}`, proxy, crowd: await startCrowd(), users: [], lives: 0 };
      }),
    );
    await Promise.all(groups.map(fill));
  });

  after(async () => {
    await Promise.all(groups.map(({ crowd }) => crowd.end()));
    await Promise.all(groups.map(({ proxy }) => proxy.close()));
    monitor.close();
    await server.stop();
  });

  /** Brings new users into a group that has too few. Nobody comes back under an old name: each is one stay. */
  async function fill(group: Group): Promise<void> {
    const fresh = Array.from({ length: EACH - group.users.length }, () => `${group.name}-${group.lives++}`);
    await group.crowd.ask("enter", {
      address: group.proxy.address,
      channel: "room",
      users: fresh,
      presenceTimeoutMs: PRESENCE_TIMEOUT_MS,
      reconnect: { minDelayMs: 100, maxDelayMs: 400 },
      keepalive: [KEEPALIVE_MS, ANSWER_MS],
    });
    group.users.push(...fresh);
  }

  /** A fault that nobody is to hear of: begun, ended, and over only when all are back. */
  async function passing(group: Group, begin: () => void, end: () => void, ms: number): Promise<void> {
    const from = performance.now();
    begin();
    await sleep(ms);
    end();
    // The ends of connections that the server gave up must have reached the clients before these are asked.
    await sleep(300);
    await group.crowd.ask("live");
    const to = performance.now();
    absences.push(...group.users.map((userId) => ({ userId, from, to })));
  }

  async function happen({ group: index, kind, user, ms }: Fault): Promise<void> {
    const group = groups[index]!;
    const { proxy, crowd } = group;
    const userId = group.users[user % group.users.length]!;
    switch (kind) {
      case "set":
        return crowd.ask("set", userId, { n: `${ms}`, [`k${ms % 5}`]: userId });
      case "cut":
        return passing(
          group,
          () => proxy.cut(),
          () => {},
          50,
        );
      case "refuse":
        return passing(
          group,
          () => proxy.refuse(),
          () => proxy.flow(),
          ms,
        );
      case "vanish":
        return passing(
          group,
          () => proxy.vanish(),
          () => proxy.flow(),
          ms,
        );
      case "delay":
        return passing(
          group,
          () => proxy.delay(ms / 10),
          () => proxy.flow(),
          ms,
        );
      case "trickle":
        return passing(
          group,
          () => proxy.trickle(20 + (ms % 100)),
          () => proxy.flow(),
          ms,
        );
      case "stop":
        return passing(
          group,
          () => crowd.signal("SIGSTOP"),
          () => crowd.signal("SIGCONT"),
          ms,
        );
      case "leave":
        group.users = group.users.filter((other) => other !== userId);
        left.push(...(await crowd.ask("leave", [userId])));
        departed.add(userId);
        return fill(group);
      case "kill": {
        crowd.signal("SIGKILL");
        const at = performance.now();
        endings.push(...group.users.map((ended) => ({ userId: ended, at })));
        await crowd.end();
        group.users = [];
        group.crowd = await startCrowd();
        return fill(group);
      }
    }
  }

  it("keeps every promise", async () => {
    const plan = fc.sample(faults, { seed: SEED, numRuns: 100_000 }) as Fault[];
    const until = performance.now() + MINUTES * 60_000;
    let done = 0;
    const counts = new Map<string, number>();
    try {
      // Each group has its own faults, one after the other, while the others have theirs.
      await Promise.all(
        groups.map(async (_, index) => {
          for (const fault of plan.filter(({ group }) => group === index)) {
            if (performance.now() > until) return;
            await within(`the end of ${JSON.stringify(fault)}`, happen(fault), PATIENCE_MS);
            counts.set(fault.kind, (counts.get(fault.kind) ?? 0) + 1);
            if (++done % 100 === 0 && MINUTES > 1) {
              console.log(`      ${done} faults, ${Math.round((until - performance.now()) / 1000)} s to go`);
            }
          }
        }),
      );
      await sleep(BOUND_MS + LATE_MS);
      await monitor.settled();
      console.log(`      ${[...counts].map(([kind, times]) => `${kind} ${times}`).join(", ")}`);
      await everythingHolds();
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      throw new Error(
        `replay with:\n  npm run test:faults -- --only soak --seed ${SEED} --minutes ${MINUTES}\n\n${cause.message}`,
        { cause },
      );
    }
  });

  async function everythingHolds(): Promise<void> {
    const present = groups.flatMap(({ users }) => users);
    const stays = [
      ...present.map((userId) => ({ userId })),
      ...endings.map(({ userId, at }) => ({ userId, to: at })),
      ...[...departed].map((userId) => ({ userId, to: 0 })),
    ];
    assert.deepEqual(noGhosts(endings, monitor.moves, BOUND_MS + LATE_MS), []);
    const ended = new Set([...endings.map(({ userId }) => userId), ...departed]);
    const alive = absences.filter(({ userId }) => !ended.has(userId));
    assert.deepEqual(noFlaps(alive, monitor.moves, Number.POSITIVE_INFINITY), []);
    assert.deepEqual(lastLeave(stays, monitor.moves), []);

    const final = await monitor.everybody();
    assert.deepEqual([...final.users.keys()].sort(), present.sort());
    const histories = [...left];
    for (const { crowd } of groups) {
      histories.push(...(await crowd.ask("histories")));
      for (const [userId, { status, members }] of await crowd.ask("views")) {
        assert.equal(status, "live", userId);
        assert.deepEqual(new Map([...members].sort()), new Map([...final.users].sort()), `what ${userId} holds`);
      }
    }
    checkGuarantees(histories, { changes: monitor.changes }, { gapFree: false });
  }
});

type Fault = typeof faults extends fc.Arbitrary<infer Value> ? Value : never;
