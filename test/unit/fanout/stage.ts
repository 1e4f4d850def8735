import { apply, type Rules } from "../../../src/channel/apply.js";
import type { Command } from "../../../src/channel/command.js";
import { nextDeadline } from "../../../src/channel/member.js";
import type { Outcome } from "../../../src/channel/outcome.js";
import { MemoryEngine } from "../../../src/engine/memory.js";
import { Hub, type HubOptions } from "../../../src/fanout/hub.js";
import type { Reader } from "../../../src/fanout/reader.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import type { Delta } from "../../../src/model/delta.js";
import { DEFAULT_LIMITS } from "../../../src/model/limits.js";
import type { Position } from "../../../src/model/position.js";
import type { States } from "../../../src/model/user_state.js";
import type { Clock } from "../../../src/time/clock.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { ManualClock } from "../../support/manual_clock.js";
import { smallRevisions } from "../../support/revisions.js";
import { FakeSink } from "./fake_sink.js";

export const ROOM: ChannelId = { type: 1, name: "room" };
const RULES: Rules = { limits: DEFAULT_LIMITS, sameUser: "multi", pendingTtlMs: 300_000, leaveDebounceMs: 0 };

/** What a committed command did. */
export interface Done {
  readonly outcome: Outcome;
  readonly deltas: readonly Delta[];
  readonly position: Position;
  readonly occupancy: number;
}

/** What a subscriber asks for. */
export interface Asked {
  readonly includeSelf?: boolean;
  readonly resumeFrom?: Position;
  readonly sink?: FakeSink;
}

/** An engine and a hub over it, in one turn of the event loop: the test says when the hub flushes. */
export class Stage {
  readonly clock = new ManualClock();
  readonly dropped: Reader[] = [];
  readonly engine: MemoryEngine;
  readonly hub: Hub;
  readonly #flushes: (() => void)[] = [];
  readonly #users = new Set<string>();

  constructor(
    options: Partial<HubOptions> = {},
    log = { maxEvents: 1000, maxBytes: 262_144 },
    revisionsOf?: (clock: Clock) => (above: number) => number,
  ) {
    const { clock } = this;
    let epochs = 0;
    this.engine = new MemoryEngine({
      clock,
      newEpoch: () => `epoch ${++epochs}`,
      newRevision: revisionsOf?.(clock) ?? smallRevisions,
      resumeTtlMs: 60_000,
      log,
    });
    this.hub = new Hub({
      clock,
      codec: eventCodec,
      source: this.engine,
      maxBacklogBytes: 262_144,
      laggingTimeoutMs: 60_000,
      paceOf: () => ({ announceMax: 500, intervalMs: 1000 }),
      schedule: (flush) => this.#flushes.push(flush),
      onDropped: (reader) => this.dropped.push(reader),
      ...options,
    });
  }

  /** Carries a command out; a refusal is thrown. */
  do(userId: string, command: Command): Done {
    const { engine, clock } = this;
    this.#users.add(userId);
    const now = clock.now();
    const read = engine.read(ROOM, userId);
    const outcome = apply(read.member, command, now, RULES, read.elsewhere);
    const committed = engine.commit({ channel: ROOM, read, outcome, wall: now.wall, dependsOnElsewhere: false });
    if (committed === "conflict") throw new Error("a conflict where nobody else writes");
    return { outcome, ...committed };
  }

  /** A user joins by a stream, and is lost `timeoutMs` after a detach. */
  join(userId: string, initialStates: States = {}, sessionId = userId, timeoutMs = 0): Done {
    const session = { kind: "stream" as const, quiet: false, timeoutMs };
    return this.do(userId, { kind: "join", sessionId, session, resume: undefined, deviceId: "", initialStates });
  }

  /** A user leaves with all sessions. */
  leave(userId: string): Done {
    return this.do(userId, { kind: "leave", sessionId: undefined, attachment: undefined });
  }

  /** A user sets keys. */
  set(userId: string, states: States): Done {
    return this.do(userId, { kind: "set", states, replace: false, expectedRevision: undefined });
  }

  /** Lets time go by: for the hub, for the engine, and for the users' deadlines. */
  pass(ms: number): Done[] {
    this.clock.advance(ms);
    const now = this.clock.now().tick;
    const due = [...this.#users].filter((user) => {
      return (nextDeadline(this.engine.read(ROOM, user).member) ?? Number.POSITIVE_INFINITY) <= now;
    });
    return due.map((userId) => this.do(userId, { kind: "expire" }));
  }

  /** Adds a reader; its user must have joined, by whatever session. */
  subscribe(userId: string, { includeSelf = false, resumeFrom, sink = new FakeSink() }: Asked = {}) {
    const { position, occupancy } = this.engine.summary(ROOM);
    const deltas = resumeFrom && this.engine.replay(ROOM, resumeFrom);
    const missed = resumeFrom && deltas && { from: resumeFrom.revision, deltas };
    const terms = {
      userId,
      sessionId: `of ${userId}`,
      presenceTimeoutMs: 0,
      resumed: false,
      occupancy,
      heartbeatMs: 0,
    };
    const options = { userId, includeSelf, terms, revision: position.revision, time: this.clock.now().wall, missed };
    return { reader: this.hub.subscribe(ROOM, options, sink), sink };
  }

  /** Runs what the hub scheduled for this turn; true if there was anything. */
  flush(): boolean {
    const flushes = this.#flushes.splice(0);
    for (const flush of flushes) flush();
    return flushes.length > 0;
  }

  /** Turn by turn, until the hub has nothing more to do: what takes several turns is done then. */
  settle(): void {
    while (this.flush());
  }
}
