import type { Delta } from "../model/delta.js";
import { Backlog } from "./backlog.js";
import { type FeedChannel, type News, tell } from "./feed_news.js";

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
  add({ channel, told: { delta, piece } }: News): void {
    const life = `${channel.key}\0${channel.epoch}`;
    const before = this.#channels.get(life);
    const waiting = before ?? { channel, known: occupancyBefore(delta), backlog: new Backlog() };
    this.#bytes -= before ? CHANNEL_BYTES + before.backlog.bytes : 0;
    waiting.backlog.add(delta, piece.length);
    if (waiting.backlog.size === 0) {
      this.#channels.delete(life);
      return;
    }
    this.#channels.set(life, waiting);
    this.#bytes += CHANNEL_BYTES + waiting.backlog.bytes;
  }

  /** Takes out everything: the channels as they came in, each in the order of its revisions. */
  drain(): News[] {
    const news: News[] = [];
    for (const { channel, known, backlog } of this.#channels.values()) {
      let occupancy = known;
      for (const collapsed of backlog.drain()) {
        if (collapsed.kind === "join") occupancy += 1;
        else if (collapsed.kind !== "state") occupancy -= 1;
        const delta = { ...collapsed, occupancy };
        news.push({ channel, told: { delta, piece: tell(channel.codec, delta, occupancy) } });
      }
    }
    this.clear();
    return news;
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
