import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";
import type { Position } from "../model/position.js";
import type { ChannelFilter } from "./channel_filter.js";
import { FeedBacklog } from "./feed_backlog.js";
import type { ChannelNews, ToldDelta } from "./feed_news.js";
import type { FeedSource } from "./feed_ports.js";
import type { ChannelAt, FeedSnapshots } from "./feed_snapshots.js";
import { concat } from "./messages.js";
import type { Piece } from "./ports.js";
import type { SharedSnapshot } from "./snapshot.js";

/** What a round needs of the feed. */
export interface RoundHost {
  readonly snapshots: FeedSnapshots;
  readonly source: FeedSource;
  /** Most bytes that may wait for a snapshot to be answered. */
  readonly maxBacklogBytes: number;
  /** Now, ms since 1970. */
  wall(): number;
  /** Hands what came in and was not handed out yet to all readers. */
  handOut(): void;
}

/** What a round tells the reader whose round it is. */
export interface RoundListener {
  /** The source has answered; there may be something to step on with. */
  onAnswer(): void;
  /** The source failed. */
  onFailed(cause: unknown): void;
  /** A channel has been told as it is further on than its news have come in. */
  onAhead(key: ChannelKey, ahead: Ahead): void;
}

/** A snapshot that may have been taken before its channel's news came in as far. */
export interface Ahead {
  readonly position: Position;
}

/** What a round has to say next, with how many changes that tells; that it waits for the source, or encoded a part of a
 * large channel, or is over. */
export type Step = { readonly pieces: readonly Piece[]; readonly events: number } | "waiting" | "encoded" | "over";

const NOTHING: Step = { pieces: [], events: 0 };

/** The channel whose turn it is, asked for: what happens there is kept as it comes. `undefined`: it was too much. */
interface Asked {
  readonly stage: "asked";
  readonly id: ChannelId;
  readonly key: ChannelKey;
  early: ChannelNews[] | undefined;
  bytes: number;
}

/** The channel whose turn it is, being told: what happens there waits behind its snapshot. */
interface Telling {
  readonly stage: "telling";
  readonly key: ChannelKey;
  readonly snapshot: SharedSnapshot;
  next: number;
  readonly held: FeedBacklog;
  /** Until the channel's news have come in as far as the snapshot. */
  ahead: Ahead | undefined;
}

/**
 * Tells one watcher of every occupied channel that it wants to know of, by a snapshot each, one channel after the other.
 *
 * What happens in a channel whose turn is still to come will be in its snapshot and is passed over; what happens in one
 * whose turn is over is news like any other. So the round holds the names of channels, and of one channel what happens.
 */
export class FeedRound {
  readonly #todo = new Map<ChannelKey, ChannelId>();
  /** Where in `#todo` the round is. To begin anew each time would pass over all that was deleted, again and again. */
  #order = this.#todo.entries();
  #listing = true;
  #current: Asked | Telling | undefined;

  constructor(
    filter: ChannelFilter,
    private readonly host: RoundHost,
    private readonly listener: RoundListener,
  ) {
    const listed = filter.named ?? answerOf(() => host.source.occupied());
    if (!(listed instanceof Promise)) {
      this.#list(listed, filter);
      return;
    }
    listed.then(
      (channels) => {
        // News that the list takes account of have come in, and must not be taken for later ones.
        host.handOut();
        this.#list(channels, filter);
        listener.onAnswer();
      },
      (cause: unknown) => listener.onFailed(cause),
    );
  }

  /** About the bytes that wait behind the snapshot that is being told. */
  get bytes(): number {
    return this.#current?.stage === "telling" ? this.#current.held.bytes : 0;
  }

  /** Whether these news are the round's to tell. */
  takes(news: ChannelNews): boolean {
    const { key, id } = news.channel;
    // It may have been vacant when the list was made.
    if (this.#listing) this.#todo.set(key, id);
    if (this.#todo.has(key)) return true;
    const current = this.#current;
    if (current?.key !== key) return false;
    if (current.stage === "asked") this.#keepEarly(current, news);
    else hold(current, news);
    return true;
  }

  /** What comes next. */
  step(): Step {
    const current = this.#current;
    if (this.#listing || current?.stage === "asked") return "waiting";
    if (current) {
      const { snapshot } = current;
      const chunk = snapshot.chunk(current.next);
      if (chunk) {
        current.next++;
        return { pieces: [concat(chunk.parts)], events: 0 };
      }
      if (!snapshot.isComplete) {
        snapshot.build();
        return "encoded";
      }
      this.#current = undefined;
      if (current.ahead) this.listener.onAhead(current.key, current.ahead);
      const held = current.held.drain();
      return { pieces: held.map(({ told }) => told.piece), events: held.length };
    }
    const next = this.#next();
    if (!next) return "over";
    const [key, id] = next;
    this.#todo.delete(key);
    return this.#ask(id, key);
  }

  #next(): [ChannelKey, ChannelId] | undefined {
    const next = this.#order.next();
    if (!next.done) return next.value;
    // An iterator that came to its end stays there, whatever is added.
    this.#order = this.#todo.entries();
    return this.#order.next().value;
  }

  #list(channels: readonly ChannelId[], filter: ChannelFilter): void {
    this.#listing = false;
    for (const id of channels) {
      const key = channelKey(id);
      if (filter.matches(id, key)) this.#todo.set(key, id);
    }
  }

  #ask(id: ChannelId, key: ChannelKey): Step {
    const answer = answerOf(() => this.host.snapshots.take(id));
    if (!(answer instanceof Promise)) {
      this.#current = telling(key, answer);
      return answer.snapshot?.isComplete === false ? "encoded" : NOTHING;
    }
    const asked: Asked = { stage: "asked", id, key, early: [], bytes: 0 };
    this.#current = asked;
    answer.then(
      (snapshot) => {
        this.host.handOut();
        this.#answered(asked, snapshot);
        this.listener.onAnswer();
      },
      (cause: unknown) => this.listener.onFailed(cause),
    );
    return "waiting";
  }

  #answered({ id, key, early }: Asked, ahead: ChannelAt): void {
    const current = telling(key, ahead);
    this.#current = current;
    if (current) current.ahead = ahead;
    if (current && early) {
      for (const news of early) hold(current, news);
    } else if (early?.every((news) => after(news, ahead).length === 0)) {
      this.listener.onAhead(key, ahead);
    } else {
      // What was kept cannot be told as it is: the channel's turn comes again.
      this.#current = undefined;
      this.#todo.set(key, id);
    }
  }

  #keepEarly(asked: Asked, news: ChannelNews): void {
    if (!asked.early) return;
    asked.early.push(news);
    for (const { piece } of news.told) asked.bytes += piece.length;
    // The source will be asked again: what is dropped here is in that answer.
    if (asked.bytes > this.host.maxBacklogBytes) asked.early = undefined;
  }
}

/** An answer of the source; where it fails at once, as if it had failed later, so that there is one way to fail. */
function answerOf<T>(ask: () => T | Promise<T>): T | Promise<T> {
  try {
    return ask();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** A channel that is vacant needs no words: that is what the watcher takes it for. */
function telling(key: ChannelKey, { snapshot }: ChannelAt): Telling | undefined {
  return snapshot && { stage: "telling", key, snapshot, next: 0, held: new FeedBacklog(), ahead: undefined };
}

/** Of a channel's news, what came after a snapshot. */
export function after({ told }: ChannelNews, ahead: Ahead): readonly ToldDelta[] {
  const from = told.findIndex((one) => isAfter(one, ahead));
  return from < 0 ? [] : told.slice(from);
}

function hold(telling: Telling, news: ChannelNews): void {
  const told = telling.ahead ? after(news, telling.ahead) : news.told;
  if (told.length > 0) telling.ahead = undefined;
  for (const one of told) telling.held.add({ channel: news.channel, told: one });
}

/**
 * Later lives of a channel have greater revisions. Where the source knew nothing of the channel there is no revision to
 * compare with: what begins with the first join of a life came after the snapshot, anything else is late news of a life
 * that was forgotten.
 */
function isAfter({ delta }: ToldDelta, { position }: Ahead): boolean {
  if (position.epoch !== "") return delta.revision > position.revision;
  return delta.kind === "join" && delta.occupancy === 1;
}
