import { apply, type Elsewhere, type Rules } from "../../../src/channel/apply.js";
import type { Command, Join } from "../../../src/channel/command.js";
import { type Member, stranger } from "../../../src/channel/member.js";
import type { Outcome } from "../../../src/channel/outcome.js";
import { type Head, seal } from "../../../src/channel/seal.js";
import type { Delta } from "../../../src/model/delta.js";
import { DEFAULT_LIMITS } from "../../../src/model/limits.js";
import type { States } from "../../../src/model/user_state.js";

/** The rules of a server whose settings nobody touched. */
export const RULES: Rules = { limits: DEFAULT_LIMITS, sameUser: "multi", pendingTtlMs: 300_000, leaveDebounceMs: 0 };

/** A user that has nothing in any other channel. */
export const NOWHERE: Elsewhere = { channels: 0, attachedChannels: 0, pendingPairs: 0 };

/** Wall time at tick 0 of these tests. */
export const WALL_AT_ZERO = 1_700_000_000_000;

/** Pending states of these tests have the revisions after it. */
export const PENDING = 2 ** 52;

/** What a command did. */
export interface Step {
  readonly outcome: Outcome;
  readonly deltas: readonly Delta[];
}

/** One user in one channel, driven through `apply` and `seal` with the time in the test's hands. */
export class MemberDriver {
  member: Member;
  head: Head = { revision: 0, occupancy: 0 };
  #pendingRevision = PENDING;
  tick = 0;
  rules: Rules = RULES;
  elsewhere: Elsewhere = NOWHERE;

  constructor(userId = "ann") {
    this.member = stranger(userId);
  }

  /** Carries out a command, and keeps what it made; a refusal is thrown, and keeps nothing. */
  do(command: Command): Step {
    const now = { tick: this.tick, wall: WALL_AT_ZERO + this.tick };
    const outcome = apply(this.member, command, now, this.rules, this.elsewhere);
    const { member, deltas, head } = seal(this.member, outcome, this.head, now.wall, () => ++this.#pendingRevision);
    this.member = member;
    this.head = head;
    return { outcome, deltas };
  }

  /** Lets time go by and settles what ran out. */
  pass(ms: number): Step {
    this.tick += ms;
    return this.do({ kind: "expire" });
  }

  /** The ids of the sessions, in order. */
  get sessions(): string[] {
    return this.member.sessions.map(({ id }) => id);
  }

  /** The states that others see; `undefined`: not present. */
  get states(): States | undefined {
    return this.member.presence?.state.states;
  }
}

/** A join by a stream. */
export function stream(sessionId: string, options: Partial<StreamJoin> = {}): Join {
  const { quiet = false, timeoutMs = 30_000, resume, deviceId = "", initialStates = {} } = options;
  return { kind: "join", sessionId, session: { kind: "stream", quiet, timeoutMs }, resume, deviceId, initialStates };
}

/** What a stream's join may choose. */
export interface StreamJoin {
  readonly quiet: boolean;
  readonly timeoutMs: number;
  readonly resume: string | undefined;
  readonly deviceId: string;
  readonly initialStates: States;
}

/** A join by a lease. */
export function lease(sessionId: string, ttlMs = 30_000, initialStates: States = {}, deviceId = ""): Join {
  return { kind: "join", sessionId, session: { kind: "lease", ttlMs }, resume: undefined, deviceId, initialStates };
}

/** A write of states. */
export function set(states: States, options: { replace?: boolean; expectedRevision?: number } = {}): Command {
  const { replace = false, expectedRevision } = options;
  return { kind: "set", states, replace, expectedRevision };
}

/** A removal of keys; none named: all. */
export function remove(...keys: string[]): Command {
  return { kind: "remove", keys };
}

/** The loss of one stream. */
export function detach(sessionId: string, attachment = 0): Command {
  return { kind: "detach", sessionId, attachment };
}

/** A leave; no session named: all of them. */
export function leave(sessionId?: string, attachment?: number): Command {
  return { kind: "leave", sessionId, attachment };
}

/** A heartbeat. */
export function renew(sessionId: string, ttlMs?: number): Command {
  return { kind: "renew", sessionId, ttlMs };
}

/** What others would hear, in short: kinds, with the states of a change. */
export function heard(deltas: readonly Delta[]): (string | States)[] {
  return deltas.map((delta) => (delta.kind === "state" ? delta.state.states : delta.kind));
}
