import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import type { Clock, Timer } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";
import type { Pace } from "./pace.js";
import type { ChannelSource, EventCodec, Sink } from "./ports.js";
import { Reader, type ReaderOptions, type ReaderStateName } from "./reader.js";
import { MAX_CHUNK_BYTES } from "./snapshot.js";
import { Topic, type TopicHost } from "./topic.js";
import { Worklist } from "./worklist.js";

/** Timers are no finer than this; a shorter rest is none. */
const MIN_REST_MS = 1;

/**
 * How long a large channel's topic is kept without readers, in ms. Loading it costs as much as its users: without this,
 * one client that subscribes and cancels in a loop would make the server load it again each time.
 */
const KEEP_MS = 5000;

/** Settings of the fan-out. */
export interface HubOptions {
  readonly clock: Clock;
  readonly codec: EventCodec;
  readonly source: ChannelSource;
  /** Most bytes of collapsed changes that wait for one slow reader (S16a). Default 262144. */
  readonly maxBacklogBytes: number;
  /** The largest SNAPSHOT event, in bytes (S15). Default, and most, 262144. */
  readonly maxChunkBytes?: number;
  /** The largest message of several events, in bytes. Default 262144. */
  readonly maxMessageBytes?: number;
  /** How long a reader may take nothing before it is ended as a drop, in ms. Default 60000. */
  readonly laggingTimeoutMs: number;
  /** When a channel goes over to intervals, and how long they are (S18). */
  readonly paceOf: (channel: ChannelId) => Pace;
  /** Runs `flush` later in this turn of the event loop: `setImmediate`, but for tests. */
  readonly schedule: (flush: () => void) => void;
  /** The fan-out ended a reader, which took nothing for too long or cannot be served: its session is a drop (S3). */
  readonly onDropped: (reader: Reader, error: PresenceError) => void;
}

/** How many readers there are, and how they fare. */
export interface HubStats {
  readonly channels: number;
  readonly readers: Readonly<Record<Exclude<ReaderStateName, "closed">, number>>;
  /** Events written to readers since the start, one per event and reader. */
  readonly delivered: number;
}

interface OpenTopic {
  readonly topic: Topic;
  /** Set once the watch has begun. */
  stop: (() => void) | undefined;
  /** Set while it is kept without readers. */
  kept: Timer | undefined;
}

/** All readers of all channels on this server. Knows no rules: it tells what has happened, to whoever listens. */
export class Hub implements TopicHost {
  readonly #topics = new Map<ChannelKey, OpenTopic>();
  readonly #places = new Map<Reader, OpenTopic>();
  #dirty = new Set<Topic>();
  readonly #resting = new Set<Topic>();
  readonly #work: Worklist;
  readonly #stuck: Deadlines<Reader>;
  readonly #counts = { live: 0, lagging: 0, resyncing: 0 };
  #delivered = 0;

  constructor(private readonly options: HubOptions) {
    this.#work = new Worklist(options.schedule);
    this.#stuck = new Deadlines(options.clock, (reader) => this.#giveUp(reader));
  }

  get clock(): Clock {
    return this.options.clock;
  }

  get codec(): EventCodec {
    return this.options.codec;
  }

  get maxBacklogBytes(): number {
    return this.options.maxBacklogBytes;
  }

  get maxChunkBytes(): number {
    return this.options.maxChunkBytes ?? MAX_CHUNK_BYTES;
  }

  get maxMessageBytes(): number {
    return this.options.maxMessageBytes ?? MAX_CHUNK_BYTES;
  }

  /** How many readers there are, and how they fare. */
  stats(): HubStats {
    return { channels: this.#topics.size, readers: { ...this.#counts }, delivered: this.#delivered };
  }

  /** Adds a reader of a channel: SUBSCRIBED and SNAPSHOT come with the next flush, then every event (S15). */
  subscribe(channel: ChannelId, options: ReaderOptions, sink: Sink): Reader {
    const key = channelKey(channel);
    const known = this.#topics.get(key);
    const open = known ?? {
      topic: new Topic(channel, this, this.options.paceOf(channel)),
      stop: undefined,
      kept: undefined,
    };
    open.kept?.cancel();
    open.kept = undefined;
    const reader = new Reader(options, sink, open.topic);
    this.#counts.resyncing += 1;
    this.#places.set(reader, open);
    open.topic.add(reader);
    if (!known) {
      this.#topics.set(key, open);
      this.#follow(open, channel);
    }
    return reader;
  }

  wantFlush(topic: Topic): void {
    if (this.#dirty.has(topic) || this.#resting.has(topic)) return;
    const rest = topic.restUntil - this.clock.now().tick;
    if (rest < MIN_REST_MS) {
      this.#flushThisTurn(topic);
      return;
    }
    this.#resting.add(topic);
    this.clock.setTimer(rest, () => {
      this.#resting.delete(topic);
      this.#flushThisTurn(topic);
    });
  }

  /** One piece of work a turn, of all channels together. */
  later(work: () => void): void {
    this.#work.add(work);
  }

  onTransition(reader: Reader, from: ReaderStateName, to: ReaderStateName): void {
    if (from !== "closed") this.#counts[from] -= 1;
    if (to !== "closed") this.#counts[to] += 1;
    if (to === "closed") this.#remove(reader);
    // That too much is waiting for a reader is no progress.
    if (to !== "resyncing") this.onProgress(reader);
  }

  onProgress(reader: Reader): void {
    const waits = reader.state === "lagging" || reader.state === "resyncing";
    this.#stuck.set(reader, waits ? this.clock.now().tick + this.options.laggingTimeoutMs : undefined);
  }

  onDelivered(events: number): void {
    this.#delivered += events;
  }

  async #follow(open: OpenTopic, channel: ChannelId): Promise<void> {
    const { source } = this.options;
    try {
      const watching = source.watch(channel, (deltas) => open.topic.onDeltas(deltas));
      open.stop = watching instanceof Promise ? await watching : watching;
      const snapshot = source.snapshot(channel);
      open.topic.load(snapshot instanceof Promise ? await snapshot : snapshot);
    } catch (error) {
      this.#cannotFollow(open, error);
    }
    // The readers may all have gone while the channel was being looked up.
    this.#closeIfEmpty(open);
  }

  /** Ends the readers, and makes way for another try by those who come next. */
  #cannotFollow(open: OpenTopic, cause: unknown): void {
    this.#forget(open);
    const error = new PresenceError("PRESENCE_OUT_OF_SERVICE", "the channel cannot be followed at the moment", {
      retryAfterMs: 1000,
      metadata: { cause: cause instanceof Error ? cause.name : "unknown" },
    });
    for (const reader of open.topic.endAll(error)) this.options.onDropped(reader, error);
  }

  #remove(reader: Reader): void {
    const open = this.#places.get(reader);
    if (!open) return;
    this.#places.delete(reader);
    open.topic.remove(reader);
    this.#closeIfEmpty(open);
  }

  #closeIfEmpty(open: OpenTopic): void {
    if (!open.topic.isEmpty || !open.stop) return;
    if (open.topic.isLarge) open.kept ??= this.clock.setTimer(KEEP_MS, () => this.#closeTopic(open));
    else this.#closeTopic(open);
  }

  #closeTopic(open: OpenTopic): void {
    open.stop?.();
    open.stop = undefined;
    this.#forget(open);
  }

  #forget(open: OpenTopic): void {
    open.topic.close();
    const key = channelKey(open.topic.channel);
    if (this.#topics.get(key) === open) this.#topics.delete(key);
  }

  #flushThisTurn(topic: Topic): void {
    if (this.#dirty.size === 0) this.options.schedule(() => this.#flush());
    this.#dirty.add(topic);
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const topic of dirty) topic.flush();
  }

  #giveUp(reader: Reader): void {
    const seconds = `${this.options.laggingTimeoutMs / 1000}s`;
    const error = new PresenceError("SUBSCRIBER_TOO_SLOW", `nothing was read from this stream for ${seconds}`, {
      retryAfterMs: 1000,
      metadata: { lagging_timeout: seconds },
    });
    reader.abort(error);
    this.options.onDropped(reader, error);
  }
}
