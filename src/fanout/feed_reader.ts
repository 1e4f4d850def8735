import type { ChannelKey } from "../model/channel_id.js";
import type { PresenceError } from "../model/errors.js";
import type { ChannelFilter } from "./channel_filter.js";
import { FeedBacklog } from "./feed_backlog.js";
import type { ChannelNews, News, NewsBatch, ToldDelta } from "./feed_news.js";
import type { FeedCodec } from "./feed_ports.js";
import { type Ahead, after, FeedRound, type RoundHost } from "./feed_round.js";
import { bytesOf, layOut, type Message } from "./messages.js";
import type { OnSnapshotBytes, Piece, Sink } from "./ports.js";
import type { ReaderStateName } from "./reader.js";

/**
 * So many bytes of snapshots are gathered into a message, and written in one turn of the event loop: a round of very
 * many channels leaves time to everybody else.
 */
const GATHER_BYTES = 32 * 1024;

/** What OUT_OF_SERVICE says, for a log. */
const TOO_SLOW = "this feed was not read fast enough, and events were dropped";

/** What a watcher asked for. */
export interface FeedOptions {
  /** Which channels. */
  readonly filter: ChannelFilter;
  /** Begin with a snapshot of each occupied channel, and tell them again when events were lost. */
  readonly withSnapshot: boolean;
  /** Absent: not counted. */
  readonly onSnapshotBytes?: OnSnapshotBytes | undefined;
  /** How often an idle stream gets an empty message, in ms; 0: never. */
  readonly heartbeatMs: number;
}

/** What a watcher's reader needs of the feed. */
export interface FeedReaderHost extends RoundHost {
  readonly feedCodec: FeedCodec;
  /** Most bytes of several events in one message. */
  readonly maxMessageBytes: number;
  /** Runs `work` in a later turn of the event loop, one piece a turn for all readers. */
  later(work: () => void): void;
  /** So many changes were written, each counted once for each reader. */
  onDelivered(events: number): void;
  /** The reader goes from one state into another. */
  onTransition(reader: FeedReader, from: ReaderStateName, to: ReaderStateName): void;
  /** The reader's stream takes no more, or took something: `blocked` says which. */
  onProgress(reader: FeedReader): void;
  /** The source failed: the reader cannot be served. */
  onFailed(reader: FeedReader, cause: unknown): void;
}

/**
 * One watcher of many channels: decides what is written to its stream, and when (S16a).
 *
 * While its stream takes no more, what happens waits, collapsed, in bounded memory. Past the bound all of it is dropped,
 * and the watcher is told so as soon as it reads again; with snapshots, a round of them follows.
 */
export class FeedReader {
  readonly filter: ChannelFilter;
  #state: ReaderStateName = "resyncing";
  #begun = false;
  #blocked = false;
  #lost = false;
  readonly #backlog = new FeedBacklog();
  #round: FeedRound | undefined;
  /** Until the first round is over. */
  #onSnapshotBytes: OnSnapshotBytes | undefined;
  /** Channels that were told as they are further on than their news have come in: only where a source answers later. */
  readonly #ahead = new Map<ChannelKey, Ahead>();

  constructor(
    private readonly options: FeedOptions,
    private readonly sink: Sink,
    private readonly host: FeedReaderHost,
  ) {
    this.filter = options.filter;
    this.#onSnapshotBytes = options.onSnapshotBytes;
    sink.onDrain = () => this.#drained();
  }

  /** As a subscriber's: `lagging` while its stream takes no more, `resyncing` while a round of snapshots is to be told. */
  get state(): ReaderStateName {
    return this.#state;
  }

  /** Whether its stream takes no more. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Writes SUBSCRIBED, and the first round of snapshots: everything from now on is handed to it. */
  begin(): void {
    if (this.#begun || this.#state === "closed") return;
    this.host.handOut();
    this.#begun = true;
    this.#write([this.host.feedCodec.subscribed(this.options.heartbeatMs, this.host.wall())], 0);
    this.#startRound();
    this.#advance();
  }

  /** Takes what happened since the last time; before `begin` it is nothing to this reader. */
  take(batch: NewsBatch): void {
    if (!this.#begun || this.#lost || this.#state === "closed") return;
    if (this.#state === "live" && this.filter.all && this.#ahead.size === 0) {
      this.#send(batch.all, batch.messages);
    } else {
      const news = this.#wanted(batch);
      this.#send(news, layOut(piecesOf(news), this.host.maxMessageBytes));
    }
    const waiting = this.#backlog.bytes + (this.#round?.bytes ?? 0);
    if (this.#blocked && waiting > this.host.maxBacklogBytes) this.#lose();
    this.#settle();
  }

  /** Ends the stream after what was written. Does nothing the second time. */
  end(error: PresenceError | undefined): void {
    if (this.#close()) this.sink.end(error);
  }

  /** Ends the stream at once. Does nothing after an end. */
  abort(error: PresenceError): void {
    if (this.#close()) this.sink.abort(error);
  }

  /** The stream is gone; nothing is written any more. */
  detach(): void {
    this.#close();
  }

  #wanted(batch: NewsBatch): News[] {
    const wanted: News[] = [];
    for (const news of batch.news) {
      const { channel } = news;
      if (!this.filter.matches(channel.id, channel.key) || this.#round?.takes(news)) continue;
      for (const told of this.#notTold(news)) wanted.push({ channel, told });
    }
    return wanted;
  }

  #notTold(news: ChannelNews): readonly ToldDelta[] {
    const { key } = news.channel;
    const ahead = this.#ahead.get(key);
    if (!ahead) return news.told;
    const told = after(news, ahead);
    if (told.length > 0) this.#ahead.delete(key);
    return told;
  }

  /** Drops all that waits, and the round: the watcher will have to forget what it was told in part. */
  #lose(): void {
    this.#lost = true;
    this.#backlog.clear();
    this.#round = undefined;
    this.#ahead.clear();
  }

  #drained(): void {
    if (!this.#blocked || this.#state === "closed") return;
    // While it is still kept from being written, so that it comes before the snapshots that have it.
    this.host.handOut();
    this.#blocked = false;
    this.host.onProgress(this);
    if (this.#lost) {
      this.#lost = false;
      this.#write([this.host.feedCodec.lost(TOO_SLOW, this.host.wall())], 0);
      this.#startRound();
    } else {
      const news = this.#backlog.drain();
      this.#send(news, layOut(piecesOf(news), this.host.maxMessageBytes));
    }
    this.#advance();
  }

  #startRound(): void {
    if (!this.options.withSnapshot) return;
    const round: FeedRound = new FeedRound(this.filter, this.host, {
      onAnswer: () => {
        if (this.#round === round) this.#advance();
      },
      onFailed: (cause) => {
        if (this.#round === round) this.host.onFailed(this, cause);
      },
      onAhead: (key, ahead) => {
        if (this.#round === round) this.#ahead.set(key, ahead);
      },
    });
    this.#round = round;
  }

  /** Goes on with the round, for as long as the stream takes it and the turn's share lasts. */
  #advance(): void {
    const pieces: Piece[] = [];
    let bytes = 0;
    let events = 0;
    while (this.#round && !this.#blocked && bytes < GATHER_BYTES) {
      const step = this.#round.step();
      if (step === "waiting") break;
      if (step === "encoded") {
        bytes = GATHER_BYTES;
        break;
      }
      if (step === "over") {
        this.#round = undefined;
        this.#onSnapshotBytes = undefined;
        pieces.push(this.host.feedCodec.complete(this.host.wall()));
        break;
      }
      const told = bytesOf(step.pieces);
      bytes += told;
      this.#onSnapshotBytes?.(told);
      pieces.push(...step.pieces);
      events += step.events;
    }
    this.#write(pieces, events);
    if (bytes >= GATHER_BYTES && !this.#blocked) this.host.later(() => this.#goOn());
    this.#settle();
  }

  #goOn(): void {
    // What came in meanwhile comes before the snapshots that have it.
    this.host.handOut();
    if (this.#state !== "closed") this.#advance();
  }

  /** Writes news until the stream has no room for more, and keeps the others for later. */
  #send(news: readonly News[], messages: Iterable<Message>): void {
    let written = 0;
    if (!this.#blocked) {
      for (const { bytes, end } of messages) {
        written = end;
        if (this.sink.write(bytes)) continue;
        this.#block();
        break;
      }
    }
    this.host.onDelivered(written);
    for (let i = written; i < news.length; i++) this.#backlog.add(news[i]!);
  }

  /** Writes what the feed says of itself, or a round: all of it, which is little more than a message. */
  #write(pieces: readonly Piece[], events: number): void {
    let room = true;
    for (const { bytes } of layOut(pieces, this.host.maxMessageBytes)) room = this.sink.write(bytes);
    this.host.onDelivered(events);
    if (!room) this.#block();
  }

  #block(): void {
    this.#blocked = true;
    this.host.onProgress(this);
  }

  #close(): boolean {
    if (this.#state === "closed") return false;
    this.#blocked = false;
    this.#round = undefined;
    this.#backlog.clear();
    this.#ahead.clear();
    this.#become("closed");
    return true;
  }

  #settle(): void {
    if (this.#state === "closed") return;
    if (this.#lost || this.#round) this.#become("resyncing");
    else this.#become(this.#blocked ? "lagging" : "live");
  }

  #become(state: ReaderStateName): void {
    const from = this.#state;
    this.#state = state;
    if (from !== state) this.host.onTransition(this, from, state);
  }
}

function* piecesOf(news: readonly News[]): Generator<Piece> {
  for (const { told } of news) yield told.piece;
}
