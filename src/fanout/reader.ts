import { type Delta, deltaBytes } from "../model/delta.js";
import type { PresenceError } from "../model/errors.js";
import type { Announcement } from "./announcement.js";
import { Backlog } from "./backlog.js";
import { concat, layOut } from "./messages.js";
import type { OnSnapshotBytes, Piece, Sink, Terms } from "./ports.js";
import type { SharedSnapshot } from "./snapshot.js";

/**
 * Up to this size SUBSCRIBED and the first chunk are copied into one message, which saves a write; the parts of a larger
 * chunk are written as they are, so that all readers hold the same bytes.
 */
const SMALL_CHUNK_BYTES = 8 * 1024;

/** What a subscriber asked for. */
export interface ReaderOptions {
  readonly userId: string;
  /** Hear the events of one's own user too (S6). */
  readonly includeSelf: boolean;
  /** For SUBSCRIBED. */
  readonly terms: Terms;
  /** The channel's revision when the session joined. */
  readonly revision: number;
  /** When the session joined, ms since 1970. */
  readonly time: number;
  /** The changes missed since `from`, where the channel remembers them; they replace the SNAPSHOT (S16). */
  readonly missed: { readonly from: number; readonly deltas: readonly Delta[] } | undefined;
  /** Absent: not counted. */
  readonly onSnapshotBytes?: OnSnapshotBytes | undefined;
}

/** How far a reader is; the names are those of the gauges. */
export type ReaderStateName = "live" | "lagging" | "resyncing" | "closed";

/**
 * The life of a reader.
 * - `live`: gets every batch as it is flushed.
 * - `lagging`: its stream took no more; what it missed waits, collapsed, until it drains.
 * - `resyncing`: gets a snapshot. Without `sending` it waits for the next flush to take one; with it, the chunks from
 *   `next` on are still to be written, and what happened since the snapshot waits behind them.
 * - `closed`: gets nothing more.
 */
export type ReaderState =
  | { readonly name: "live" }
  | { readonly name: "lagging"; readonly backlog: Backlog }
  | { readonly name: "resyncing"; readonly sending: Sending | undefined; readonly blocked: boolean }
  | { readonly name: "closed" };

/** A snapshot on its way to one reader. */
export interface Sending {
  readonly snapshot: SharedSnapshot;
  readonly onBytes: OnSnapshotBytes | undefined;
  next: number;
  /** What has to come before the next chunk can be written: room in the stream, or the chunk itself. */
  awaits: "room" | "chunk";
  /** `undefined` once it passed the bound: another snapshot has to follow this one. */
  backlog: Backlog | undefined;
}

/** What a reader needs of the channel that it reads. */
export interface ReaderHost {
  /** Most bytes that may wait for a reader (S16a). */
  readonly maxBacklogBytes: number;
  /** Most bytes of several changes in one message. */
  readonly maxMessageBytes: number;
  /** Encodes one change, from what is already encoded where possible. */
  encode(delta: Delta): Piece;
  /** Asks for a snapshot with `Topic.flush`, in this turn if one can be had. */
  wantSnapshot(reader: Reader): void;
  /** So many events were written to this reader alone. */
  onDelivered(events: number): void;
  /** The reader goes from one state into another. */
  onTransition(reader: Reader, from: ReaderStateName, to: ReaderStateName): void;
  /** The reader took something off what was waiting for it, or began to wait again. */
  onProgress(reader: Reader): void;
}

// One object for all readers of a kind: most readers are live, and there may be very many.
const LIVE: ReaderState = { name: "live" };
const CLOSED: ReaderState = { name: "closed" };
const WANTS_SNAPSHOT: ReaderState = { name: "resyncing", sending: undefined, blocked: false };
const BLOCKED: ReaderState = { name: "resyncing", sending: undefined, blocked: true };

/** One subscriber of a channel's events: decides what is written to its stream, and when. */
export class Reader {
  readonly userId: string;
  readonly includeSelf: boolean;
  #state: ReaderState = WANTS_SNAPSHOT;
  /** What SUBSCRIBED is made of, until it is written; then nobody needs it any more. */
  #opening: ReaderOptions | undefined;
  /** Nothing up to this revision may be written to it from a batch; set when it becomes live. */
  #position = 0;

  constructor(
    options: ReaderOptions,
    private readonly sink: Sink,
    private readonly host: ReaderHost,
  ) {
    this.userId = options.userId;
    this.includeSelf = options.includeSelf;
    this.#opening = options;
    sink.onDrain = () => this.#drained();
  }

  /** What its stream has to begin with; `undefined` once it has begun. */
  get opening(): ReaderOptions | undefined {
    return this.#opening;
  }

  get state(): ReaderStateName {
    return this.#state.name;
  }

  /** Whether the batch can be written as it is to all such readers. */
  get isLive(): boolean {
    return this.#state.name === "live";
  }

  /** The revision before the first change that the reader may be told singly. */
  get position(): number {
    return this.#position;
  }

  /** Whether it waits for the next flush to be given its first events, or a fresh snapshot. */
  get wantsSnapshot(): boolean {
    return this.#state.name === "resyncing" && !this.#state.sending && !this.#state.blocked;
  }

  /** Whether a change of `userId` is one that it hears (S6). */
  hears(userId: string): boolean {
    return this.includeSelf || userId !== this.userId;
  }

  /**
   * Writes changes until its stream has no room for more, and keeps the others for later. Only for a live reader. Returns
   * how many were written.
   */
  write({ deltas, pieces, messages }: Announcement): number {
    for (const { bytes, end } of messages) {
      if (this.sink.write(bytes)) continue;
      this.#lag();
      for (let i = end; i < deltas.length; i++) this.keep(deltas[i]!, pieces[i]!.length);
      return end;
    }
    return deltas.length;
  }

  /** Writes one message. Only for a live reader. */
  writeOne(message: Uint8Array): void {
    if (!this.sink.write(message)) this.#lag();
  }

  /** Keeps a change for later, unless it is in what was written already. Only for a reader that is not live. */
  keep(delta: Delta, bytes: number): void {
    const state = this.#state;
    if (!this.hears(delta.userId)) return;
    if (state.name === "lagging") {
      if (delta.revision > this.#position) this.#keepIn(state.backlog, delta, bytes);
    } else if (state.name === "resyncing" && state.sending?.backlog) {
      if (delta.revision <= state.sending.snapshot.revision) return;
      state.sending.backlog.add(delta, bytes);
      if (state.sending.backlog.bytes > this.host.maxBacklogBytes) state.sending.backlog = undefined;
    }
  }

  /**
   * Begins or begins again: SUBSCRIBED if it was not written yet, then the snapshot. Only when it wants one, with the
   * snapshot of the moment.
   */
  sendSnapshot(snapshot: SharedSnapshot, subscribed: (revision: number) => Piece): void {
    const onBytes = this.#opening?.onSnapshotBytes;
    const opening = this.#open(subscribed);
    const sending: Sending = { snapshot, onBytes, next: 0, awaits: "room", backlog: new Backlog() };
    this.#become({ name: "resyncing", sending, blocked: false });
    this.#sendChunks(sending, opening);
  }

  /**
   * Begins without a snapshot: SUBSCRIBED, then what was missed, up to `revision`. It keeps for later what its stream has
   * no room for; nothing of that is encoded.
   */
  sendMissed(missed: readonly Delta[], revision: number, subscribed: Piece): void {
    const opening = this.#open(() => subscribed);
    this.#position = revision;
    this.#become(LIVE);
    let written = missed.length;
    for (const { bytes, end } of layOut(this.#encoded(opening, missed), this.host.maxMessageBytes)) {
      if (this.sink.write(bytes)) continue;
      written = end - opening.length;
      const backlog = this.#lag();
      for (let i = written; i < missed.length && this.#state.name === "lagging"; i++) {
        this.#keepIn(backlog, missed[i]!, deltaBytes(missed[i]!));
      }
      break;
    }
    this.host.onDelivered(written);
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

  #close(): boolean {
    if (this.#state.name === "closed") return false;
    this.#become(CLOSED);
    return true;
  }

  #open(subscribed: (joinedAt: number) => Piece): Piece[] {
    if (!this.#opening) return [];
    const piece = subscribed(this.#opening.revision);
    this.#opening = undefined;
    return [piece];
  }

  #drained(): void {
    const state = this.#state;
    this.host.onProgress(this);
    switch (state.name) {
      case "lagging":
        this.#catchUp(state.backlog);
        break;
      case "resyncing":
        if (!state.sending) this.#wantSnapshot();
        else if (state.sending.awaits === "room") this.#sendChunks(state.sending, []);
        break;
    }
  }

  *#encoded(opening: readonly Piece[], deltas: readonly Delta[]): Generator<Piece> {
    yield* opening;
    for (const delta of deltas) yield this.host.encode(delta);
  }

  #lag(): Backlog {
    const backlog = new Backlog();
    this.#become({ name: "lagging", backlog });
    return backlog;
  }

  #keepIn(backlog: Backlog, delta: Delta, bytes: number): void {
    backlog.add(delta, bytes);
    if (backlog.bytes > this.host.maxBacklogBytes) this.#become(BLOCKED);
  }

  #wantSnapshot(): void {
    this.#become(WANTS_SNAPSHOT);
    this.host.wantSnapshot(this);
  }

  #sendChunks(sending: Sending, opening: readonly Piece[]): void {
    const { snapshot } = sending;
    let room = true;
    let chunk = snapshot.chunk(sending.next);
    if (chunk && chunk.length <= SMALL_CHUNK_BYTES) {
      sending.next += 1;
      sending.onBytes?.(chunk.length);
      room = this.sink.write(concat([...opening, ...chunk.parts]));
    } else if (opening.length > 0) {
      room = this.sink.write(concat(opening));
    }
    for (; room; sending.next += 1) {
      chunk = snapshot.chunk(sending.next);
      if (!chunk) break;
      sending.onBytes?.(chunk.length);
      room = this.sink.writeParts(chunk.parts, chunk.length);
    }
    if (!room) {
      sending.awaits = "room";
      this.host.onProgress(this);
      return;
    }
    if (snapshot.isComplete) {
      this.#sent(sending);
      return;
    }
    sending.awaits = "chunk";
    snapshot.onceBuilt(() => {
      const state = this.#state;
      if (state.name === "resyncing" && state.sending === sending) this.#sendChunks(sending, []);
    });
  }

  #sent({ snapshot, backlog }: Sending): void {
    this.#position = snapshot.revision;
    if (backlog) this.#catchUp(backlog);
    else this.#wantSnapshot();
  }

  /** Changes that are flushed after this are written singly again, so nothing is in between. */
  #catchUp(backlog: Backlog): void {
    this.#become(LIVE);
    const deltas = backlog.drain();
    if (deltas.length === 0) return;
    this.#position = Math.max(this.#position, deltas[deltas.length - 1]!.revision);
    this.host.onDelivered(deltas.length);
    this.writeOne(concat(deltas.map((delta) => this.host.encode(delta))));
  }

  #become(next: ReaderState): void {
    const from = this.#state.name;
    this.#state = next;
    if (from !== next.name) this.host.onTransition(this, from, next.name);
  }
}
