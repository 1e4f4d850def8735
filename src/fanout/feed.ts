import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import { PresenceError } from "../model/errors.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";
import { ChannelNews, type FeedChannel, NewsBatch } from "./feed_news.js";
import type { FeedCodec, FeedSource } from "./feed_ports.js";
import { type FeedOptions, FeedReader, type FeedReaderHost } from "./feed_reader.js";
import { FeedSnapshots } from "./feed_snapshots.js";
import type { Sink } from "./ports.js";
import type { ReaderStateName } from "./reader.js";
import type { SharedCodec } from "./shared_codec.js";
import { MAX_CHUNK_BYTES } from "./snapshot.js";
import { Worklist } from "./worklist.js";

/** Settings of the feed; the same as the hub's where the names are the same. */
export interface FeedSettings {
  readonly clock: Clock;
  /** The codec of the hub as well, so that both share what is encoded. */
  readonly codec: SharedCodec;
  readonly feedCodec: FeedCodec;
  readonly source: FeedSource;
  /** Most bytes of collapsed changes that wait for one slow watcher (S16a). Default 262144. */
  readonly maxBacklogBytes: number;
  /** The largest message of several events, in bytes. Default 262144. */
  readonly maxMessageBytes?: number;
  /** How long a watcher may take nothing before it is ended, in ms. Default 60000. */
  readonly laggingTimeoutMs: number;
  /** Runs `flush` later in this turn of the event loop: `setImmediate`, but for tests. */
  readonly schedule: (flush: () => void) => void;
  /** The feed ended a watcher, which took nothing for too long or cannot be served. */
  readonly onDropped: (reader: FeedReader, error: PresenceError) => void;
}

/** How many watchers there are, and how they fare. */
export interface FeedStats {
  readonly watchers: Readonly<Record<Exclude<ReaderStateName, "closed">, number>>;
  /** Events written to watchers since the start, one per change and watcher. */
  readonly delivered: number;
}

/** A watch of all channels, from its beginning to its end. */
interface Following {
  /** Set once the watch has begun. */
  stop: (() => void) | undefined;
}

/**
 * What happens in all channels, for back ends that are in none: follows the source while there are watchers, and once a
 * turn writes to each of them what is new in the channels that it wants. Always each event, however large a channel is.
 */
export class Feed implements FeedReaderHost {
  readonly #readers = new Set<FeedReader>();
  /** Occupied channels of which something was told, so that a channel's name is encoded once for its life. */
  readonly #channels = new Map<ChannelKey, FeedChannel>();
  readonly snapshots: FeedSnapshots;
  readonly #stuck: Deadlines<FeedReader>;
  readonly #work: Worklist;
  readonly #counts = { live: 0, lagging: 0, resyncing: 0 };
  #following: Following | undefined;
  /** What is not handed out yet, by channel and epoch. */
  #news = new Map<FeedChannel, ChannelNews>();
  #scheduled = false;
  #delivered = 0;

  constructor(private readonly settings: FeedSettings) {
    this.#stuck = new Deadlines(settings.clock, (reader) => this.#giveUp(reader));
    this.#work = new Worklist(settings.schedule);
    this.snapshots = new FeedSnapshots(settings);
  }

  get codec(): SharedCodec {
    return this.settings.codec;
  }

  get feedCodec(): FeedCodec {
    return this.settings.feedCodec;
  }

  get source(): FeedSource {
    return this.settings.source;
  }

  get maxBacklogBytes(): number {
    return this.settings.maxBacklogBytes;
  }

  get maxMessageBytes(): number {
    return this.settings.maxMessageBytes ?? MAX_CHUNK_BYTES;
  }

  /** How many watchers there are, and how they fare. */
  stats(): FeedStats {
    return { watchers: { ...this.#counts }, delivered: this.#delivered };
  }

  /** Adds a watcher: SUBSCRIBED comes as soon as the source is followed, then every event of its channels. */
  watch(options: FeedOptions, sink: Sink): FeedReader {
    const reader = new FeedReader(options, sink, this);
    this.#readers.add(reader);
    this.#counts.resyncing += 1;
    if (this.#following?.stop) reader.begin();
    else if (!this.#following) this.#follow();
    return reader;
  }

  wall(): number {
    return this.settings.clock.now().wall;
  }

  handOut(): void {
    if (this.#news.size === 0) return;
    const batch = new NewsBatch([...this.#news.values()], this.maxMessageBytes);
    this.#news = new Map();
    for (const reader of this.#readers) reader.take(batch);
    for (const { channel, deltas } of batch.news) {
      if (deltas.at(-1)!.occupancy === 0 && this.#channels.get(channel.key) === channel) {
        this.#channels.delete(channel.key);
      }
    }
    this.codec.turn();
  }

  later(work: () => void): void {
    this.#work.add(work);
  }

  onDelivered(events: number): void {
    this.#delivered += events;
  }

  onTransition(reader: FeedReader, from: ReaderStateName, to: ReaderStateName): void {
    if (from !== "closed") this.#counts[from] -= 1;
    if (to !== "closed") {
      this.#counts[to] += 1;
      return;
    }
    this.#readers.delete(reader);
    this.#stuck.set(reader, undefined);
    this.#stopIfUnwatched();
  }

  onProgress(reader: FeedReader): void {
    const { clock, laggingTimeoutMs } = this.settings;
    this.#stuck.set(reader, reader.blocked ? clock.now().tick + laggingTimeoutMs : undefined);
  }

  onFailed(reader: FeedReader, cause: unknown): void {
    const error = new PresenceError("PRESENCE_OUT_OF_SERVICE", "the channels cannot be followed at the moment", {
      retryAfterMs: 1000,
      metadata: { cause: cause instanceof Error ? cause.name : "unknown" },
    });
    reader.end(error);
    this.settings.onDropped(reader, error);
  }

  async #follow(): Promise<void> {
    const following: Following = { stop: undefined };
    this.#following = following;
    this.codec.sharing = true;
    try {
      const watching = this.source.watchAll((...heard) => this.#onNews(following, ...heard));
      following.stop = watching instanceof Promise ? await watching : watching;
    } catch (error) {
      this.#following = undefined;
      for (const reader of [...this.#readers]) this.onFailed(reader, error);
      this.#forget();
      return;
    }
    for (const reader of [...this.#readers]) reader.begin();
    // The watchers may all have gone while the watch began.
    this.#stopIfUnwatched();
  }

  #onNews(following: Following, id: ChannelId, epoch: string, deltas: readonly Delta[]): void {
    if (this.#following !== following || !this.#isWatched(id)) return;
    const channel = this.#channel(id, epoch);
    let news = this.#news.get(channel);
    if (!news) {
      news = new ChannelNews(channel);
      this.#news.set(channel, news);
    }
    news.deltas.push(...deltas);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.settings.schedule(() => {
      this.#scheduled = false;
      this.handOut();
    });
  }

  #channel(id: ChannelId, epoch: string): FeedChannel {
    const key = channelKey(id);
    let channel = this.#channels.get(key);
    if (channel?.epoch !== epoch) {
      channel = { id, key, epoch, codec: this.codec.forChannel(id, epoch) };
      this.#channels.set(key, channel);
    }
    return channel;
  }

  #isWatched(id: ChannelId): boolean {
    const key = channelKey(id);
    for (const { filter } of this.#readers) if (filter.matches(id, key)) return true;
    return false;
  }

  #stopIfUnwatched(): void {
    if (this.#readers.size > 0 || !this.#following?.stop) return;
    this.#following.stop();
    this.#following = undefined;
    this.#forget();
  }

  #forget(): void {
    if (this.#following) return;
    this.codec.sharing = false;
    this.#channels.clear();
    this.#news.clear();
  }

  #giveUp(reader: FeedReader): void {
    const seconds = `${this.settings.laggingTimeoutMs / 1000}s`;
    const error = new PresenceError("SUBSCRIBER_TOO_SLOW", `nothing was read from this stream for ${seconds}`, {
      retryAfterMs: 1000,
      metadata: { lagging_timeout: seconds },
    });
    reader.abort(error);
    this.settings.onDropped(reader, error);
  }
}
