import { setImmediate as turn } from "node:timers/promises";
import { apply } from "../../../src/channel/apply.js";
import type { Command } from "../../../src/channel/command.js";
import type { Engine } from "../../../src/engine/engine.js";
import { MemoryEngine } from "../../../src/engine/memory.js";
import { ChannelFilter } from "../../../src/fanout/channel_filter.js";
import { Feed, type FeedSettings } from "../../../src/fanout/feed.js";
import type { FeedSource } from "../../../src/fanout/feed_ports.js";
import type { FeedReader } from "../../../src/fanout/feed_reader.js";
import { SharedCodec } from "../../../src/fanout/shared_codec.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import type { PresenceError } from "../../../src/model/errors.js";
import { DEFAULT_LIMITS } from "../../../src/model/limits.js";
import type { States } from "../../../src/model/user_state.js";
import type { Clock } from "../../../src/time/clock.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { feedCodec } from "../../../src/wire/feed_codec.js";
import { FeedView } from "../../guarantees/feed_view.js";
import { ManualClock } from "../../support/manual_clock.js";
import { smallRevisions } from "../../support/revisions.js";
import { FakeSink } from "./fake_sink.js";

const RULES = {
  limits: { ...DEFAULT_LIMITS, maxStateBytes: 1e6 },
  sameUser: "multi" as const,
  pendingTtlMs: 300_000,
  leaveDebounceMs: 0,
};

/** What a watcher asks for. */
export interface Wanted {
  readonly channels?: readonly ChannelId[];
  readonly prefix?: string;
  readonly withSnapshot?: boolean;
  readonly sink?: FakeSink;
}

/** A channel of type MESSAGE. */
export const room = (name: string): ChannelId => ({ type: 1, name });

/** An engine and a feed over it: the test says when it flushes. */
export class FeedStage {
  readonly clock = new ManualClock();
  readonly engine: MemoryEngine;
  readonly codec = new SharedCodec(eventCodec);
  readonly feed: Feed;
  readonly dropped: [FeedReader, PresenceError][] = [];
  /** The first promise that a view saw broken. */
  broken: { readonly error: unknown } | undefined;
  readonly #flushes: (() => void)[] = [];

  /**
   * @param wrap what stands between the feed and the engine
   * @param revisionsOf default: small ones
   */
  constructor(
    options: Partial<FeedSettings> = {},
    wrap: (engine: Engine) => FeedSource = (engine) => engine,
    revisionsOf?: (clock: Clock) => (above: number) => number,
  ) {
    const { clock } = this;
    let epochs = 0;
    this.engine = new MemoryEngine({
      clock,
      newEpoch: () => `epoch ${++epochs}`,
      newRevision: revisionsOf?.(clock) ?? smallRevisions,
      resumeTtlMs: 60_000,
      log: { maxEvents: 1000, maxBytes: 262_144 },
    });
    this.feed = new Feed({
      clock,
      codec: this.codec,
      feedCodec,
      source: wrap(this.engine),
      maxBacklogBytes: 262_144,
      laggingTimeoutMs: 60_000,
      schedule: (flush) => this.#flushes.push(flush),
      onDropped: (...dropped) => this.dropped.push(dropped),
      ...options,
    });
  }

  /** Carries a command out, at once. */
  do(channel: ChannelId, userId: string, command: Command): void {
    const now = this.clock.now();
    const read = this.engine.read(channel, userId);
    const outcome = apply(read.member, command, now, RULES, read.elsewhere);
    this.engine.commit({ channel, read, outcome, wall: now.wall, dependsOnElsewhere: false });
  }

  join(channel: ChannelId, userId: string, initialStates: States = {}): void {
    const session = { kind: "stream" as const, quiet: false, timeoutMs: 0 };
    this.do(channel, userId, {
      kind: "join",
      sessionId: `${userId} ${channel.name}`,
      session,
      resume: undefined,
      deviceId: "",
      initialStates,
    });
  }

  leave(channel: ChannelId, userId: string): void {
    this.do(channel, userId, { kind: "leave", sessionId: undefined, attachment: undefined });
  }

  /** The user's connection dies, and there is no grace. */
  vanish(channel: ChannelId, userId: string): void {
    this.do(channel, userId, { kind: "detach", sessionId: `${userId} ${channel.name}`, attachment: 0 });
  }

  set(channel: ChannelId, userId: string, states: States): void {
    this.do(channel, userId, { kind: "set", states, replace: false, expectedRevision: undefined });
  }

  /** Whether the user is in the channel. */
  has(channel: ChannelId, userId: string): boolean {
    return this.engine.read(channel, userId).member.presence !== undefined;
  }

  /** Adds a watcher, of all channels unless it says which. */
  watch({ channels = [], prefix = "", withSnapshot = false, sink = new FakeSink() }: Wanted = {}) {
    const filter = new ChannelFilter(channels, prefix);
    return { reader: this.feed.watch({ filter, withSnapshot, heartbeatMs: 0 }, sink), sink, filter };
  }

  /** Adds a watcher whose every event is checked and applied. */
  view(wanted: Omit<Wanted, "sink">) {
    const view = new FeedView(wanted.withSnapshot ?? false);
    const sink = new FakeSink(({ events }) => {
      // Thrown here it would be the feed's to catch.
      for (const event of events) this.broken ??= failureOf(() => view.apply(event));
    });
    return { ...this.watch({ ...wanted, sink }), view, withSnapshot: wanted.withSnapshot ?? false };
  }

  /** Runs what the feed scheduled for this turn; true if there was anything. */
  flush(): boolean {
    const flushes = this.#flushes.splice(0);
    for (const flush of flushes) flush();
    return flushes.length > 0;
  }

  /** Lets what was promised arrive, and the feed write. */
  async settle(turns = 12): Promise<void> {
    for (let quiet = 0; quiet < turns; quiet++) {
      await turn();
      if (this.flush()) quiet = 0;
    }
  }

  /** Who is where in the channels that a filter lets through, by `type:name`. */
  truth(filter: ChannelFilter): Map<string, Map<string, States>> {
    const truth = new Map<string, Map<string, States>>();
    for (const channel of this.engine.occupied()) {
      const key = `${channel.type}:${channel.name}`;
      if (!filter.matches(channel, key)) continue;
      const { users } = this.engine.snapshot(channel);
      truth.set(key, new Map(users.map(({ userId, states }) => [userId, { ...states }])));
    }
    return truth;
  }
}

function failureOf(work: () => void): { error: unknown } | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return { error };
  }
}
