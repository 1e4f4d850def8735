import type { ChannelId } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { PresenceError } from "../model/errors.js";
import type { UserState } from "../model/user_state.js";
import type { Clock } from "../time/clock.js";
import { joinPieces } from "./messages.js";
import type { ChannelCodec, EventCodec, Piece, SourceSnapshot, StateBytes } from "./ports.js";
import type { Reader, ReaderHost, ReaderStateName } from "./reader.js";
import { SharedSnapshot } from "./snapshot.js";

/**
 * How many times as long as its flush a topic rests. What is measured is the handing over; sending takes the system
 * about as long again, or longer.
 */
const REST_FACTOR = 4;

/** A flush may take longer than this, as when thousands join at once; the rest after it may not. */
const MAX_REST_MS = 50;

/** What a topic needs of the hub that it belongs to. */
export interface TopicHost {
  readonly clock: Clock;
  readonly codec: EventCodec;
  readonly maxBacklogBytes: number;
  /** Asks for `flush` once, later in this turn of the event loop. */
  wantFlush(topic: Topic): void;
  onTransition(reader: Reader, from: ReaderStateName, to: ReaderStateName): void;
  onProgress(reader: Reader): void;
  /** So many events were written, each counted once for each reader. */
  onDelivered(events: number): void;
}

/** One user as the topic's readers are to see it. */
interface Seen {
  readonly state: UserState;
  /** Made when first needed, and then kept for every snapshot. */
  bytes: StateBytes | undefined;
}

/**
 * One channel that has readers: follows its deltas, and once a turn writes what is new to all of them (S15, S16).
 *
 * It holds a copy of who is present, so a reader's snapshot and the events after it come from one and the same order
 * of things, whichever engine the truth is in.
 */
export class Topic implements ReaderHost {
  readonly #readers = new Set<Reader>();
  readonly #seen = new Map<string, Seen>();
  #codec: ChannelCodec | undefined;
  #revision = 0;
  #batch: Delta[] = [];
  #snapshot: SharedSnapshot | undefined;
  #restUntil = 0;

  constructor(
    readonly channel: ChannelId,
    private readonly host: TopicHost,
  ) {}

  get maxBacklogBytes(): number {
    return this.host.maxBacklogBytes;
  }

  /**
   * The tick before which it should not be flushed again. It rests in proportion to what the last flush took: a channel
   * with very many readers then leaves time to everybody else, and the busier it is the more events go out together,
   * which makes each of them cheaper.
   */
  get restUntil(): number {
    return this.#restUntil;
  }

  get isEmpty(): boolean {
    return this.#readers.size === 0;
  }

  /** Takes in the channel as it is. Deltas that came in before and are part of it are dropped. */
  load(snapshot: SourceSnapshot): void {
    this.#codec = this.host.codec.forChannel(this.channel, snapshot.position.epoch);
    this.#revision = snapshot.position.revision;
    for (const state of snapshot.users) this.#seen.set(state.userId, { state, bytes: undefined });
    const early = this.#batch;
    this.#batch = [];
    this.onDeltas(early);
    this.wantFlush();
  }

  /** Takes in the deltas of one commit. What the snapshot had already is news no more. */
  onDeltas(deltas: readonly Delta[]): void {
    for (const delta of deltas) {
      if (this.#codec) {
        if (delta.revision <= this.#revision) continue;
        this.#see(delta);
      }
      this.#batch.push(delta);
    }
    if (this.#batch.length > 0) this.wantFlush();
  }

  /** Adds a reader; its first events come with the next flush. */
  add(reader: Reader): void {
    this.#readers.add(reader);
    this.wantFlush();
  }

  /** Removes a reader, which hears nothing more. */
  remove(reader: Reader): void {
    this.#readers.delete(reader);
  }

  /** Ends all readers, and says who they were. */
  endAll(error: PresenceError): readonly Reader[] {
    const readers = [...this.#readers];
    for (const reader of readers) reader.end(error);
    return readers;
  }

  /** Writes what is new: the batch to those who keep up, a snapshot to those who want one. */
  flush(): void {
    if (!this.#codec) return;
    const began = this.host.clock.now().tick;
    const batch = this.#batch;
    this.#batch = [];
    if (batch.length > 0) this.#deliver(batch);
    this.#openReaders(batch);
    const ended = this.host.clock.now().tick;
    this.#restUntil = ended + Math.min(REST_FACTOR * (ended - began), MAX_REST_MS);
  }

  wantFlush(): void {
    this.host.wantFlush(this);
  }

  encode(delta: Delta): Piece {
    return this.#codec!.delta(delta, delta.kind === "state" ? this.#stateBytes(delta.state) : undefined);
  }

  join(pieces: readonly Piece[]): Uint8Array[] {
    return joinPieces(pieces);
  }

  onDelivered(events: number): void {
    this.host.onDelivered(events);
  }

  onTransition(reader: Reader, from: ReaderStateName, to: ReaderStateName): void {
    this.host.onTransition(reader, from, to);
  }

  onProgress(reader: Reader): void {
    this.host.onProgress(reader);
  }

  #see(delta: Delta): void {
    this.#revision = delta.revision;
    this.#snapshot = undefined;
    if (delta.kind === "join" || delta.kind === "state") {
      this.#seen.set(delta.userId, { state: delta.state, bytes: undefined });
    } else {
      this.#seen.delete(delta.userId);
    }
  }

  #deliver(batch: readonly Delta[]): void {
    const pieces = batch.map((delta) => this.encode(delta));
    const everything = joinPieces(pieces);
    const actors = new Set(batch.map((delta) => delta.userId));
    const first = batch[0]!.revision;
    const withoutOwn = new Map<string, { readonly messages: Uint8Array[]; readonly events: number }>();
    let delivered = 0;
    for (const reader of this.#readers) {
      if (!reader.isLive) {
        for (let i = 0; i < batch.length; i++) reader.keep(batch[i]!, pieces[i]!.length);
        continue;
      }
      const { userId, includeSelf } = reader;
      if (reader.position >= first) {
        const news = pieces.filter((_, i) => batch[i]!.revision > reader.position && reader.hears(batch[i]!.userId));
        reader.write(joinPieces(news));
        delivered += news.length;
      } else if (includeSelf || !actors.has(userId)) {
        reader.write(everything);
        delivered += batch.length;
      } else {
        let others = withoutOwn.get(userId);
        if (!others) {
          const theirs = pieces.filter((_, i) => batch[i]!.userId !== userId);
          others = { messages: joinPieces(theirs), events: theirs.length };
          withoutOwn.set(userId, others);
        }
        reader.write(others.messages);
        delivered += others.events;
      }
    }
    this.host.onDelivered(delivered);
  }

  #openReaders(batch: readonly Delta[]): void {
    for (const reader of this.#readers) {
      if (!reader.wantsSnapshot) continue;
      const { opening } = reader;
      const subscribed = (revision: number): Piece => this.#codec!.subscribed(opening!.terms, revision, opening!.time);
      const missed = opening?.missed;
      const upTo = missed && (missed.deltas.at(-1)?.revision ?? missed.from);
      const flushedUpTo = batch.length > 0 ? batch[0]!.revision - 1 : this.#revision;
      if (missed && upTo !== undefined && upTo >= flushedUpTo) {
        const deltas = [...missed.deltas, ...batch.filter(({ revision }) => revision > upTo)];
        const heard = deltas.filter((delta) => reader.hears(delta.userId));
        const revision = Math.max(upTo, this.#revision);
        reader.sendMissed(
          heard.map((delta) => this.encode(delta)),
          missed.from,
          revision,
          subscribed,
        );
      } else if (!opening || this.#revision >= opening.revision) {
        // Otherwise an engine far away has still to tell us of the reader's own join.
        reader.sendSnapshot(this.#currentSnapshot(), subscribed);
      }
    }
  }

  #currentSnapshot(): SharedSnapshot {
    this.#snapshot ??= new SharedSnapshot(
      this.#codec!,
      this.#allStateBytes(),
      this.#revision,
      this.#seen.size,
      this.host.clock.now().wall,
    );
    return this.#snapshot;
  }

  *#allStateBytes(): Generator<StateBytes> {
    for (const seen of this.#seen.values()) yield this.#bytesOf(seen);
  }

  #stateBytes(state: UserState): StateBytes {
    const seen = this.#seen.get(state.userId);
    return seen?.state === state ? this.#bytesOf(seen) : this.host.codec.state(state);
  }

  #bytesOf(seen: Seen): StateBytes {
    seen.bytes ??= this.host.codec.state(seen.state);
    return seen.bytes;
  }
}
