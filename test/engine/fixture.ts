import assert from "node:assert/strict";
import { apply, type Rules } from "../../src/channel/apply.js";
import type { Command } from "../../src/channel/command.js";
import type { LogLimits } from "../../src/engine/delta_log.js";
import type { Committed, Engine, MaybePromise, MemberRecord } from "../../src/engine/engine.js";
import type { ChannelId } from "../../src/model/channel_id.js";
import { DEFAULT_LIMITS } from "../../src/model/limits.js";
import type { Position } from "../../src/model/position.js";
import type { States } from "../../src/model/user_state.js";

/** How an engine under test is to be set up. */
export interface EngineOptions {
  /** How long an empty channel's history may still be resumed, in ms. */
  readonly resumeTtlMs: number;
  /** How much of a channel's history is kept. */
  readonly log: LogLimits;
}

/** An engine under test, and its time. */
export interface EngineFixture {
  readonly engine: Engine;
  /** Lets time go by, for the engine as well. */
  pass(ms: number): MaybePromise<void>;
}

/** Makes an engine that is empty. Called once for each test. */
export type MakeEngine = (options: EngineOptions) => MaybePromise<EngineFixture>;

export const ROOM: ChannelId = { type: 1, name: "room" };
export const OTHER_ROOM: ChannelId = { type: 1, name: "other" };

const RULES: Rules = { limits: DEFAULT_LIMITS, sameUser: "multi", pendingTtlMs: 300_000, leaveDebounceMs: 0 };
const OPTIONS: EngineOptions = { resumeTtlMs: 60_000, log: { maxEvents: 1000, maxBytes: 262_144 } };

/** An engine and the few things that a test does with it. */
export class Bench {
  readonly engine: Engine;
  /** The moment at which the rules are applied. */
  tick = 0;
  #sessions = 0;
  /** The revision at which each life of a channel began, by its epoch. */
  readonly #starts = new Map<string, number>();

  private constructor(private readonly fixture: EngineFixture) {
    this.engine = fixture.engine;
  }

  /** A bench with an empty engine. */
  static async of(makeEngine: MakeEngine, options: Partial<EngineOptions> = {}): Promise<Bench> {
    return new Bench(await makeEngine({ ...OPTIONS, ...options }));
  }

  /** Lets time go by. */
  async pass(ms: number): Promise<void> {
    await this.fixture.pass(ms);
  }

  /** What the rules make of a command on a record, committed. */
  async commit(
    channel: ChannelId,
    read: MemberRecord,
    command: Command,
    dependsOnElsewhere = false,
  ): Promise<Committed | "conflict"> {
    const outcome = apply(read.member, command, { tick: this.tick, wall: 1000 }, RULES, read.elsewhere);
    const committed = await this.engine.commit({ channel, read, outcome, wall: 1000, dependsOnElsewhere });
    if (committed === "conflict") return committed;
    const { position, deltas } = committed;
    const start = this.#starts.get(position.epoch) ?? position.revision - deltas.length;
    this.#starts.set(position.epoch, start);
    return committed;
  }

  /** Which change of its life led to a position, counted from 1. */
  countOf({ epoch, revision }: Position): number {
    return revision - this.#starts.get(epoch)!;
  }

  /** The position after that many changes of the channel's life. */
  async positionAt(channel: ChannelId, count: number): Promise<Position> {
    const { epoch } = (await this.engine.summary(channel)).position;
    return { epoch, revision: this.#starts.get(epoch)! + count };
  }

  /** Reads, applies and commits, where nobody else writes. */
  async do(channel: ChannelId, userId: string, command: Command): Promise<Committed> {
    const committed = await this.commit(channel, await this.engine.read(channel, userId), command);
    assert.ok(committed !== "conflict", `${command.kind} of ${userId} met a conflict`);
    return committed;
  }

  /** A user joins by a stream; gives the session's id. */
  async join(channel: ChannelId, userId: string, initialStates: States = {}): Promise<string> {
    const sessionId = `session ${++this.#sessions}`;
    await this.do(channel, userId, joining(sessionId, initialStates));
    return sessionId;
  }

  /** A user leaves with all its sessions. */
  async leave(channel: ChannelId, userId: string): Promise<void> {
    await this.do(channel, userId, { kind: "leave", sessionId: undefined, attachment: undefined });
  }

  /** A user sets keys. */
  set(channel: ChannelId, userId: string, states: States): Promise<Committed> {
    return this.do(channel, userId, setting(states));
  }
}

/** A join by a stream. */
export function joining(sessionId: string, initialStates: States = {}): Command {
  const session = { kind: "stream" as const, quiet: false, timeoutMs: 30_000 };
  return { kind: "join", sessionId, session, resume: undefined, deviceId: "", initialStates };
}

/** A write of states. */
export function setting(states: States): Command {
  return { kind: "set", states, replace: false, expectedRevision: undefined };
}
