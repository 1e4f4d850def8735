import type { ChannelCodec, Piece, StateBytes } from "./ports.js";

/** The largest SNAPSHOT event, in bytes (S15). */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** Room in a chunk for all that is not a user: channel, position, time, counts. */
const ENVELOPE_BYTES = 1024;

/** Tag and length of one user in a chunk. */
const USER_OVERHEAD_BYTES = 5;

/** What a snapshot is of. */
export interface SnapshotSubject {
  readonly codec: ChannelCodec;
  /** How many users are present at `revision`. */
  readonly occupancy: number;
  /** One after the other's encoded state, as of `revision`, made now where it was not needed before. */
  readonly stateBytes: (index: number) => StateBytes;
  /** The channel's revision, which the snapshot includes. */
  readonly revision: number;
  /** When it was taken, ms since 1970. */
  readonly time: number;
  /** The largest chunk, in bytes; a chunk of one user may be larger. */
  readonly maxChunkBytes: number;
}

/** How many users are put into a chunk at a time, before other work gets its turn. */
const STEP_USERS = 500;

/**
 * A snapshot of one channel at one revision, encoded once for all readers that get it.
 *
 * It is built step by step, so that a large channel does not hold up the event loop: a small one is complete at once,
 * a large one after many calls of `build`. What happens to the channel meanwhile does not touch it.
 */
export class SharedSnapshot {
  readonly #chunks: Piece[] = [];
  /** `undefined` once all chunks are built, so that what they were made of can be forgotten. */
  #subject: SnapshotSubject | undefined;
  /** How many users are in chunks, or in the one that is being filled. */
  #taken = 0;
  #filling: StateBytes[] = [];
  #bytes = ENVELOPE_BYTES;
  #waiting: (() => void)[] = [];
  readonly revision: number;

  constructor(subject: SnapshotSubject) {
    this.#subject = subject;
    this.revision = subject.revision;
    this.build();
  }

  /** Whether all chunks are built. */
  get isComplete(): boolean {
    return this.#subject === undefined;
  }

  /** The chunk at `index`, counted from 0; `undefined` if it is not built, or after the last. Each is a whole message. */
  chunk(index: number): Piece | undefined {
    return this.#chunks[index];
  }

  /** Calls `goOn` once, when the next chunk is built. Only before it is complete. */
  onceBuilt(goOn: () => void): void {
    this.#waiting.push(goOn);
  }

  /** Goes on building, for a moment, and tells those who wait for a chunk if there is another one. */
  build(): void {
    if (!this.#subject) return;
    const { occupancy, stateBytes, maxChunkBytes } = this.#subject;
    const before = this.#chunks.length;
    const end = Math.min(this.#taken + STEP_USERS, occupancy);
    for (; this.#taken < end && this.#chunks.length === before; this.#taken++) {
      const user = stateBytes(this.#taken);
      const more = user.length + USER_OVERHEAD_BYTES;
      if (this.#bytes + more > maxChunkBytes && this.#filling.length > 0) this.#close(this.#subject, false);
      this.#filling.push(user);
      this.#bytes += more;
    }
    if (this.#taken === occupancy) {
      this.#close(this.#subject, true);
      this.#subject = undefined;
    }
    if (this.#chunks.length === before) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }

  #close({ codec, occupancy, revision, time }: SnapshotSubject, last: boolean): void {
    this.#chunks.push(codec.snapshot({ users: this.#filling, revision, time, occupancy, last }));
    this.#filling = [];
    this.#bytes = ENVELOPE_BYTES;
  }
}
