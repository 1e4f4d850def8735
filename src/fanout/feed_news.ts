import type { ChannelId, ChannelKey } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import { joinPieces } from "./messages.js";
import type { ChannelCodec, Piece } from "./ports.js";

/** One life of one channel, as feeds tell of it. */
export interface FeedChannel {
  readonly id: ChannelId;
  readonly key: ChannelKey;
  readonly epoch: string;
  readonly codec: ChannelCodec;
}

/** A change and what it says to a watcher. */
export interface ToldDelta {
  readonly delta: Delta;
  /** The change; before a channel's first join that it is occupied, after its last departure that it is vacated. */
  readonly pieces: readonly Piece[];
}

/** What is news of one channel, in its order. Encoded when somebody wants to know, and once for all. */
export class ChannelNews {
  readonly deltas: Delta[] = [];
  #told: readonly ToldDelta[] | undefined;

  constructor(readonly channel: FeedChannel) {}

  get told(): readonly ToldDelta[] {
    this.#told ??= this.deltas.map((delta) => ({ delta, pieces: tell(this.channel.codec, delta, delta.occupancy) }));
    return this.#told;
  }
}

/** What is news in all channels since the last flush. */
export class NewsBatch {
  #messages: readonly Uint8Array[] | undefined;

  constructor(readonly news: readonly ChannelNews[]) {}

  /** How many changes it holds. */
  get size(): number {
    return this.news.reduce((size, { deltas }) => size + deltas.length, 0);
  }

  /** All of it, for every watcher of all channels. */
  get messages(): readonly Uint8Array[] {
    this.#messages ??= joinPieces(this.news.flatMap(({ told }) => told.flatMap(({ pieces }) => pieces)));
    return this.#messages;
  }
}

/**
 * One change as it is told to a watcher, after which `occupancy` users are present as far as the watcher knows: an
 * occupied channel's first join comes behind `occupied`, its last departure before `vacated`.
 */
export function tell(codec: ChannelCodec, delta: Delta, occupancy: number): Piece[] {
  const piece = codec.delta(delta, undefined);
  if (delta.kind === "join") return occupancy === 1 ? [codec.occupied(delta), piece] : [piece];
  if (delta.kind === "state") return [piece];
  return occupancy === 0 ? [piece, codec.vacated(delta)] : [piece];
}

/** How many bytes pieces have. */
export function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((bytes, { length }) => bytes + length, 0);
}
