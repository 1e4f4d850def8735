import type { ChannelId } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { Position } from "../model/position.js";
import type { Piece, SourceSnapshot } from "./ports.js";

/** Hears of a commit in one of all channels. */
export type OnNews = (channel: ChannelId, epoch: string, deltas: readonly Delta[]) => void;

/** Where the truth of all channels comes from: the part of the engine port that a feed needs. */
export interface FeedSource {
  /** Calls with every commit's deltas, in each channel's order, none left out, until the returned function is called. */
  watchAll(onNews: OnNews): (() => void) | Promise<() => void>;
  /** Every channel where somebody is present; answered behind the news of all that it takes account of. */
  occupied(): readonly ChannelId[] | Promise<readonly ChannelId[]>;
  /** Where a channel stands. */
  summary(channel: ChannelId): { readonly position: Position } | Promise<{ readonly position: Position }>;
  /** Everybody who is present. What is answered at once holds nothing that was not told before. */
  snapshot(channel: ChannelId): SourceSnapshot | Promise<SourceSnapshot>;
}

/** Encodes what a feed says of itself, without a channel, at `time` (ms since 1970). */
export interface FeedCodec {
  /** The opening of a feed. `heartbeatMs`: as in `Terms`. */
  subscribed(heartbeatMs: number, time: number): Piece;
  /** Every occupied channel that matches has been told by a snapshot or an event. */
  complete(time: number): Piece;
  /** The watcher was too slow, and events were lost. */
  lost(description: string, time: number): Piece;
}
