import type * as pb from "../../gen/presence/v1/presence_service_pb.js";
import { ChannelFilter } from "../fanout/channel_filter.js";
import type { Feed } from "../fanout/feed.js";
import type { FeedReader } from "../fanout/feed_reader.js";
import type { Sink } from "../fanout/ports.js";
import { tokenExpired } from "../model/unauthenticated.js";
import { allowedChannel, watchableChannels } from "./access.js";
import type { CallRates } from "./call_rates.js";
import type { Caller } from "./caller.js";
import { newSessionId } from "./session_id.js";
import type { Streams } from "./streams.js";
import { draining, heartbeatInForce, type Subscription } from "./subscriber.js";
import type { TokenExpiry } from "./token_expiry.js";

/** What watching needs. */
export interface WatchersOptions {
  readonly feed: Feed;
  readonly rates: CallRates;
  /** The server's open streams, which it ends when it goes down. */
  readonly streams: Streams;
  readonly expiry: TokenExpiry;
  /** Clients that are sent away come back after a random time up to this, in ms (S24). */
  readonly drainJitterMs: number;
  /** As in `ServiceSettings`. */
  readonly streamHeartbeatMs: number;
}

/** The use case WatchChannels: streams that tell of channels without being in any. */
export class Watchers {
  /** Under which name a watcher's stream is among the open ones: it has no session. */
  readonly #names = new WeakMap<FeedReader, string>();
  #refusing = false;

  constructor(private readonly options: WatchersOptions) {}

  /** Begins to write to `sink`. Throws NOT_ALLOWED where the caller may not watch, SERVER_DRAINING when going down. */
  watch(caller: Caller, request: pb.WatchChannelsRequest, sink: Sink): Subscription {
    const named = request.channels.map((channel) => allowedChannel(caller, channel, "feed"));
    const isWatchable = watchableChannels(caller);
    const { feed, streams, expiry, rates, drainJitterMs } = this.options;
    if (this.#refusing) throw draining(drainJitterMs);
    const onSnapshotBytes = rates.stream(caller, undefined);
    const filter = new ChannelFilter(named, request.prefix, isWatchable);
    const heartbeatMs = heartbeatInForce(request.heartbeatInterval, this.options.streamHeartbeatMs);
    if (heartbeatMs > 0) sink.heartbeat(heartbeatMs);
    const reader = feed.watch({ filter, withSnapshot: request.withSnapshot, heartbeatMs, onSnapshotBytes }, sink);
    const name = newSessionId();
    this.#names.set(reader, name);
    streams.add(name, { attachment: 0, end: (error) => reader.end(error) });
    const token = { expire: () => streams.end(name, 0, tokenExpired()) };
    expiry.watch(token, caller.grant);
    // The feed may have given it up before it had a name.
    if (reader.state === "closed") this.dropped(reader);
    const stop = (): void => {
      expiry.forget(token);
      reader.detach();
      this.dropped(reader);
    };
    return { stop, closed: async () => stop() };
  }

  /** A watcher's stream is over. */
  dropped(reader: FeedReader): void {
    const name = this.#names.get(reader);
    if (name !== undefined) this.options.streams.remove(name, 0);
  }

  /** Lets nobody in any more (S24). */
  refuseAll(): void {
    this.#refusing = true;
  }
}
