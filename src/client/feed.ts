import type { WatchChannelsResponse } from "../../gen/presence/v1/presence_service_pb.js";
import type { FeedEvent } from "./events.js";
import { FeedReader } from "./feed_reader.js";
import type { ChannelId } from "./types.js";

/** Which channels to watch, and how. */
export interface WatchChannelsOptions {
  /** These channels; at most 1000. Neither these nor a prefix: all channels. */
  readonly channels?: readonly ChannelId[];
  /** All channels, of either type, whose names begin so; at most 128 bytes of UTF-8. */
  readonly prefix?: string;
  /** Begin with a snapshot of each occupied channel, and tell them again when events were lost. Default: false. */
  readonly withSnapshot?: boolean;
  /** Ends the feed, whose iteration then fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a Feed is made of. */
export interface FeedParts {
  readonly signal?: AbortSignal;
  /** The client's feeds that are being read. */
  readonly feeds: Set<Feed>;
  /** Starts the stream; aborting the signal cancels it. */
  open(signal: AbortSignal): AsyncIterable<WatchChannelsResponse>;
}

/**
 * What happens in many channels, for a back end that is in none of them. Made by `presence.watchChannels()`.
 *
 * Iterating begins the feed; each iteration is a feed of its own. It reads as fast as the loop does: a slow loop is
 * felt by the server, which collapses what waits per channel and user, and tells of what it had to drop by
 * `out_of_service` (S16a). Leaving the loop, or `close()`, ends it.
 */
export class Feed implements AsyncIterable<FeedEvent>, AsyncDisposable {
  readonly #parts: FeedParts;
  readonly #cancel = new AbortController();
  #open = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Ends the feed for good: iterations end without an error. May be called twice. */
  async close(): Promise<void> {
    this.#cancel.abort();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Iterates over the events. Fails with a PresenceError, or the signal's reason, when the stream does. */
  [Symbol.asyncIterator](): AsyncIterator<FeedEvent, undefined> {
    const leave = new AbortController();
    const events = this.#read(leave.signal);
    return {
      next: () => events.next(),
      return: async () => {
        // A generator that waits for its next event does not hear of its end before that has come.
        leave.abort();
        return events.return(undefined);
      },
    };
  }

  async *#read(left: AbortSignal): AsyncGenerator<FeedEvent, undefined, undefined> {
    const ending = AbortSignal.any([this.#cancel.signal, left]);
    const { signal, feeds, open } = this.#parts;
    const all = signal ? AbortSignal.any([ending, signal]) : ending;
    this.#open += 1;
    feeds.add(this);
    try {
      const reader = new FeedReader();
      for await (const { events } of open(all)) {
        for (const message of events) {
          const event = reader.read(message);
          if (event) yield event;
        }
      }
    } catch (error) {
      if (!ending.aborted) throw error;
    } finally {
      this.#open -= 1;
      if (this.#open === 0) feeds.delete(this);
    }
    return undefined;
  }
}
