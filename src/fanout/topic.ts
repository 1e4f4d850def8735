import type { ChannelId } from "../model/channel_id.js";
import { type Delta, occupancyBefore } from "../model/delta.js";
import type { PresenceError } from "../model/errors.js";
import type { UserState } from "../model/user_state.js";
import type { Clock } from "../time/clock.js";
import { Announcement } from "./announcement.js";
import { announce, tellInterval } from "./delivery.js";
import { IntervalMode } from "./interval_mode.js";
import { belongsInIntervals, type Pace } from "./pace.js";
import type { NetChanges } from "./pending_interval.js";
import type { ChannelCodec, EventCodec, Piece, SourceSnapshot, StateBytes } from "./ports.js";
import type { Reader, ReaderHost, ReaderStateName } from "./reader.js";
import { type Seen, SeenUsers } from "./seen_users.js";
import { SharedSnapshot } from "./snapshot.js";

/**
 * How many times as long as its flush a topic rests. What is measured is the handing over; sending takes the system
 * about as long again, or longer.
 */
const REST_FACTOR = 4;

/** A flush may take longer than this, as when thousands join at once; the rest after it may not. */
const MAX_REST_MS = 50;

/** How many users of a channel are taken in at a time, before other work gets its turn. */
const LOAD_SLICE = 5000;

/** What a topic needs of the hub that it belongs to. */
export interface TopicHost {
  readonly clock: Clock;
  readonly codec: EventCodec;
  readonly maxBacklogBytes: number;
  readonly maxChunkBytes: number;
  readonly maxMessageBytes: number;
  /** Asks for `flush` once, later in this turn of the event loop. */
  wantFlush(topic: Topic): void;
  /** Runs `work` in a later turn of the event loop. */
  later(work: () => void): void;
  onTransition(reader: Reader, from: ReaderStateName, to: ReaderStateName): void;
  onProgress(reader: Reader): void;
  /** So many events were written, each counted once for each reader. */
  onDelivered(events: number): void;
}

/**
 * One channel that has readers: follows its deltas, and writes what is new to all of them, once a turn or, in a large
 * channel, once an interval (S15, S16, S18).
 *
 * It holds a copy of who is present, so a reader's snapshot and the events after it come from one and the same order
 * of things, whichever engine the truth is in.
 */
export class Topic implements ReaderHost {
  readonly #readers = new Set<Reader>();
  readonly #seen = new SeenUsers();
  #codec: ChannelCodec | undefined;
  #revision = 0;
  readonly #waiting = new Set<Reader>();
  /** What is to be announced with the next flush. */
  #batch: Delta[] = [];
  /** In interval mode, what waits for the interval's end; `undefined` in announce mode. */
  #intervals: IntervalMode | undefined;
  #snapshot: SharedSnapshot | undefined;
  #restUntil = 0;
  #isLarge = false;
  #isClosed = false;

  constructor(
    readonly channel: ChannelId,
    private readonly host: TopicHost,
    private readonly pace: Pace,
  ) {}

  get maxBacklogBytes(): number {
    return this.host.maxBacklogBytes;
  }

  get maxMessageBytes(): number {
    return this.host.maxMessageBytes;
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

  /**
   * Takes in the channel as it is, a large one over several turns. Deltas that come in before the end of that wait; what
   * is part of the snapshot already is dropped.
   */
  load(snapshot: SourceSnapshot, from = 0): void {
    const { users, position } = snapshot;
    const to = Math.min(from + LOAD_SLICE, users.length);
    for (let i = from; i < to; i++) this.#seen.put(users[i]!);
    this.#isLarge = users.length > LOAD_SLICE;
    if (to < users.length) {
      this.host.later(() => {
        if (!this.#isClosed) this.load(snapshot, to);
      });
      return;
    }
    this.#codec = this.host.codec.forChannel(this.channel, position.epoch);
    this.#revision = position.revision;
    if (belongsInIntervals(this.pace, this.#seen.size, false)) this.#beginIntervals();
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
      if (this.#intervals) this.#intervals.add(delta);
      else this.#batch.push(delta);
    }
    const shrunk = this.#intervals && !belongsInIntervals(this.pace, this.#seen.size, true);
    if (this.#batch.length > 0 || shrunk) this.wantFlush();
  }

  /** Adds a reader; its first events come with the next flush. */
  add(reader: Reader): void {
    this.#readers.add(reader);
    this.wantSnapshot(reader);
  }

  /** Removes a reader, which hears nothing more. */
  remove(reader: Reader): void {
    this.#readers.delete(reader);
    this.#waiting.delete(reader);
  }

  /** Whether loading it takes so long that it is worth keeping for a while. */
  get isLarge(): boolean {
    return this.#isLarge;
  }

  /** Stops loading, building and keeping time; to be called when it has no readers. */
  close(): void {
    this.#isClosed = true;
    this.#intervals?.close();
  }

  /** Ends all readers, and says who they were. */
  endAll(error: PresenceError): readonly Reader[] {
    const readers = [...this.#readers];
    for (const reader of readers) reader.end(error);
    return readers;
  }

  /** Writes what is new to those who keep up, as the channel's mode has it, and a snapshot to those who want one. */
  flush(): void {
    if (!this.#codec) return;
    const began = this.host.clock.now().tick;
    this.#openReaders(this.#tell());
    this.#forgetOldSnapshot();
    const ended = this.host.clock.now().tick;
    this.#restUntil = ended + Math.min(REST_FACTOR * (ended - began), MAX_REST_MS);
  }

  wantFlush(): void {
    this.host.wantFlush(this);
  }

  wantSnapshot(reader: Reader): void {
    this.#waiting.add(reader);
    this.wantFlush();
  }

  encode(delta: Delta): Piece {
    return this.#codec!.delta(delta, delta.kind === "state" ? this.#stateBytes(delta.state) : undefined);
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
    if (delta.kind === "join" || delta.kind === "state") {
      this.#seen.put(delta.state);
    } else {
      this.#seen.delete(delta.userId);
    }
  }

  /** Writes what has to be told now, and gives it; then the channel's size says how it goes on (S18). */
  #tell(): readonly Delta[] {
    const readers = this.#readers;
    const large = belongsInIntervals(this.pace, this.#seen.size, this.#intervals !== undefined);
    if (!this.#intervals) {
      const batch = this.#batch;
      this.#batch = [];
      if (batch.length > 0) {
        const pieces = batch.map((delta) => this.encode(delta));
        this.host.onDelivered(announce(readers, new Announcement(batch, pieces, this.maxMessageBytes)));
      }
      if (large) this.#beginIntervals();
      return batch;
    }
    if (large && !this.#intervals.isDue) return [];
    const intervals = this.#intervals.take();
    if (!large) this.#intervals = undefined;
    for (const interval of intervals) {
      this.host.onDelivered(tellInterval(readers, interval, (changes) => this.#encodeInterval(changes)));
    }
    return intervals.flatMap(({ deltas }) => deltas);
  }

  /** The revision up to which everything has been told to those who keep up; after it comes what waits. */
  get #toldUpTo(): number {
    return (this.#intervals?.first ?? this.#revision + 1) - 1;
  }

  #beginIntervals(): void {
    this.#intervals = new IntervalMode(this.host.clock, this.pace.intervalMs, () => this.wantFlush());
  }

  #encodeInterval(changes: NetChanges): Piece {
    const changed = changes.changed.map((state) => this.#stateBytes(state));
    return this.#codec!.interval({ ...changes, changed, time: this.host.clock.now().wall });
  }

  #openReaders(told: readonly Delta[]): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const toldUpTo = this.#toldUpTo;
    const toldBefore = told.length > 0 ? told[0]!.revision - 1 : toldUpTo;
    for (const reader of waiting) {
      if (!reader.wantsSnapshot) continue;
      const { opening } = reader;
      const subscribed = (revision: number): Piece => this.#codec!.subscribed(opening!.terms, revision, opening!.time);
      const missed = opening?.missed;
      const upTo = missed && (missed.deltas.at(-1)?.revision ?? missed.from);
      if (missed && upTo !== undefined && upTo >= toldBefore) {
        const deltas = [...missed.deltas, ...told.filter(({ revision }) => revision > upTo)];
        const heard = deltas.filter((delta) => reader.hears(delta.userId));
        const [first] = deltas;
        const terms = first ? { ...opening!.terms, occupancy: occupancyBefore(first) } : opening!.terms;
        const resumed = this.#codec!.subscribed(terms, missed.from, opening!.time);
        reader.sendMissed(heard, Math.max(upTo, toldUpTo), resumed);
        continue;
      }
      const snapshot = this.#snapshotFor(opening?.revision ?? 0);
      if (snapshot) reader.sendSnapshot(snapshot, subscribed);
      else this.#waiting.add(reader);
    }
  }

  /**
   * A snapshot that holds everything up to `revision`, and lacks nothing that everybody has been told. `undefined` where
   * it has to wait: an engine far away has still to tell us of the reader's own join, or another snapshot is being built.
   */
  #snapshotFor(revision: number): SharedSnapshot | undefined {
    const recent = this.#snapshot;
    if (recent && recent.revision >= Math.max(revision, this.#toldUpTo)) return recent;
    if (this.#revision < revision || recent?.isComplete === false) return undefined;
    const snapshot = new SharedSnapshot({
      codec: this.#codec!,
      eventCodec: this.host.codec,
      occupancy: this.#seen.size,
      users: this.#seen.forSnapshot(),
      revision: this.#revision,
      time: this.host.clock.now().wall,
      maxChunkBytes: this.host.maxChunkBytes,
    });
    this.#snapshot = snapshot;
    if (!snapshot.isComplete) this.#buildOn(snapshot);
    return snapshot;
  }

  /** One chunk a turn, so that whatever else there is to do gets its turn in between. */
  #buildOn(snapshot: SharedSnapshot): void {
    this.host.later(() => {
      if (this.#isClosed) return;
      snapshot.build();
      if (!snapshot.isComplete) this.#buildOn(snapshot);
      else if (this.#waiting.size > 0) this.wantFlush();
      this.#forgetOldSnapshot();
    });
  }

  /** It serves those who come, too, until something has been told that it lacks. */
  #forgetOldSnapshot(): void {
    if (this.#snapshot?.isComplete && this.#snapshot.revision < this.#toldUpTo) this.#snapshot = undefined;
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
