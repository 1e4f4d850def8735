import type { Delta } from "../model/delta.js";
import { Backlog } from "./backlog.js";
import { bytesOf, type FeedChannel, type ToldDelta, tell } from "./feed_news.js";
import type { Piece } from "./ports.js";

/** About what a channel costs of which something waits, beside what waits: its entry here, and the event of its end. */
const CHANNEL_BYTES = 200;

/** What waits of one life of a channel. */
interface Waiting {
  readonly channel: FeedChannel;
  /** How many users the watcher knows to be present there. */
  readonly known: number;
  readonly backlog: Backlog;
}

/**
 * What a slow watcher has not been told yet, collapsed per channel and user (S16a). A channel that is for the watcher as
 * it was, because who came has gone again, costs nothing.
 *
 * What comes out is consistent in itself: occupancies count those whom the watcher has been told of, and so do
 * `occupied` and `vacated`, which alternate and enclose the joins and departures whatever was left out.
 */
export class FeedBacklog {
  /** By key and epoch: two lives of a channel have revisions that cannot be compared, and follow each other. */
  readonly #channels = new Map<string, Waiting>();
  #bytes = 0;

  /** About the bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a channel's next change. */
  add(channel: FeedChannel, { delta, pieces }: ToldDelta): void {
    const life = `${channel.key}\0${channel.epoch}`;
    const before = this.#channels.get(life);
    const waiting = before ?? { channel, known: occupancyBefore(delta), backlog: new Backlog() };
    this.#bytes -= before ? CHANNEL_BYTES + before.backlog.bytes : 0;
    waiting.backlog.add(delta, bytesOf(pieces));
    if (waiting.backlog.size === 0) {
      this.#channels.delete(life);
      return;
    }
    this.#channels.set(life, waiting);
    this.#bytes += CHANNEL_BYTES + waiting.backlog.bytes;
  }

  /** Takes out everything: the channels as they came in, each in the order of its revisions. */
  drain(): { readonly pieces: readonly Piece[]; readonly events: number } {
    const pieces: Piece[] = [];
    let events = 0;
    for (const { channel, known, backlog } of this.#channels.values()) {
      let occupancy = known;
      for (const delta of backlog.drain()) {
        if (delta.kind === "join") occupancy += 1;
        else if (delta.kind !== "state") occupancy -= 1;
        pieces.push(...tell(channel.codec, { ...delta, occupancy }, occupancy));
        events += 1;
      }
    }
    this.clear();
    return { pieces, events };
  }

  /** Drops everything. */
  clear(): void {
    this.#channels.clear();
    this.#bytes = 0;
  }
}

function occupancyBefore({ kind, occupancy }: Delta): number {
  if (kind === "join") return occupancy - 1;
  return kind === "state" ? occupancy : occupancy + 1;
}
