import type { ChannelId, ChannelKey } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import { concat, joinPieces, type Message } from "./messages.js";
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
  readonly piece: Piece;
}

/** One change in one of many channels. */
export interface News {
  readonly channel: FeedChannel;
  readonly told: ToldDelta;
}

/** What is news of one channel, in its order. Encoded when somebody wants to know, and once for all. */
export class ChannelNews {
  readonly deltas: Delta[] = [];
  #told: readonly ToldDelta[] | undefined;

  constructor(readonly channel: FeedChannel) {}

  get told(): readonly ToldDelta[] {
    this.#told ??= this.deltas.map((delta) => ({ delta, piece: tell(this.channel.codec, delta, delta.occupancy) }));
    return this.#told;
  }
}

/** What is news in all channels since the last flush. */
export class NewsBatch {
  #all: readonly News[] | undefined;
  #messages: readonly Message[] | undefined;

  constructor(
    readonly news: readonly ChannelNews[],
    private readonly maxMessageBytes: number,
  ) {}

  /** All of it, for every watcher of all channels. */
  get all(): readonly News[] {
    this.#all ??= this.news.flatMap(({ channel, told }) => told.map((one) => ({ channel, told: one })));
    return this.#all;
  }

  /** All of it in messages. */
  get messages(): readonly Message[] {
    this.#messages ??= joinPieces(
      this.all.map(({ told }) => told.piece),
      this.maxMessageBytes,
    );
    return this.#messages;
  }
}

/**
 * One change as it is told to a watcher, after which `occupancy` users are present as far as the watcher knows: an
 * occupied channel's first join comes behind `occupied`, its last departure before `vacated`.
 */
export function tell(codec: ChannelCodec, delta: Delta, occupancy: number): Piece {
  const piece = codec.delta(delta, undefined);
  if (delta.kind === "state") return piece;
  if (delta.kind === "join") return occupancy === 1 ? concat([codec.occupied(delta), piece]) : piece;
  return occupancy === 0 ? concat([piece, codec.vacated(delta)]) : piece;
}
