import type { FeedEvent } from "./events.js";
import { FeedIteration, type FeedStreams } from "./feed_iteration.js";
import type { ReconnectOptions } from "./reconnect.js";
import { INITIAL_STATUS, type SubscriptionStatus } from "./status.js";
import type { ChannelId } from "./types.js";

/** Which channels to watch, and how. */
export interface WatchChannelsOptions {
  /** These channels; at most 1000. Neither these nor a prefix: all channels. */
  readonly channels?: readonly ChannelId[];
  /** All channels, of either type, whose names begin so; at most 128 bytes of UTF-8. */
  readonly prefix?: string;
  /**
   * Begin with a snapshot of each occupied channel, and send the snapshots again after `resync` and `out_of_service`.
   * Default: false.
   */
  readonly withSnapshot?: boolean;
  /** Ends the feed, whose iteration then fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How to reconnect when the stream was lost; `false`: its failure ends the feed. Default: the client's. */
  readonly reconnect?: ReconnectOptions | boolean;
  /**
   * Called with each new status, before the iteration hears of what led to it. What it throws ends the iteration, which
   * then fails with that error.
   */
  readonly onStatus?: (status: SubscriptionStatus) => void;
}

/** What a Feed is made of. */
export interface FeedParts extends FeedStreams {
  readonly onStatus: ((status: SubscriptionStatus) => void) | undefined;
  /** The client's feeds that are being read. */
  readonly feeds: Set<Feed>;
}

/**
 * Events of many channels, for a back end that is in none of them. Made by `presence.watchChannels()`.
 *
 * **Iterating** begins the feed; each iteration has a stream of its own. It reads as fast as the loop does. For a slow
 * loop the server collapses pending events per channel and user, and reports events that it had to drop by
 * `out_of_service`. Leaving the loop, or `close()`, ends it.
 *
 * **Reconnecting.** A lost stream is opened again after a random delay that grows. The first event of each later stream
 * is `resync`, in place of `subscribed`: events were missed. What was known of the channels is void, as after
 * `out_of_service`: forget all channels. With `withSnapshot` the snapshots of all occupied channels and `complete`
 * follow. Without it, ask `onlineUsers` where it matters. The feed ends by itself only with an error that waiting does
 * not cure, such as `NOT_ALLOWED`.
 */
export class Feed implements AsyncIterable<FeedEvent>, AsyncDisposable {
  readonly #parts: FeedParts;
  /** Iterations that have started and not ended, in the order of their start. */
  readonly #iterations = new Set<FeedIteration>();
  #status: SubscriptionStatus = INITIAL_STATUS;
  #closed = false;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /**
   * State of the stream: `connecting` before the first iteration, `closed` after the last one ended. With several
   * iterations at a time: of the one that started last.
   */
  get status(): SubscriptionStatus {
    const open = [...this.#iterations].filter(({ status }) => status.state !== "closed");
    return open.at(-1)?.status ?? this.#status;
  }

  /**
   * Ends the feed for good: iterations end without an error. Resolves when their streams were cancelled. A stream that
   * was asked for without a connection is cancelled when it has begun or failed, after 5 seconds at most. May be called
   * twice.
   */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#status.state !== "closed") this.#status = { state: "closed", reason: undefined };
    await Promise.all([...this.#iterations].map((iteration) => iteration.close()));
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Iterates over the events. Fails with a PresenceError, or the signal's reason, when the feed does. */
  [Symbol.asyncIterator](): AsyncIterator<FeedEvent, undefined> {
    return new FeedIteration(this.#parts, {
      onStart: (iteration) => this.#add(iteration),
      onStatus: (status) => {
        if (status.state === "closed") this.#status = status;
        this.#parts.onStatus?.(status);
      },
      onEnd: (iteration) => this.#remove(iteration),
    });
  }

  #add(iteration: FeedIteration): void {
    if (this.#closed) {
      void iteration.close();
      return;
    }
    this.#iterations.add(iteration);
    this.#parts.feeds.add(this);
  }

  #remove(iteration: FeedIteration): void {
    this.#iterations.delete(iteration);
    if (this.#iterations.size === 0) this.#parts.feeds.delete(this);
  }
}
