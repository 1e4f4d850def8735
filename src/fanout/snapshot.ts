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

/**
 * A snapshot of one channel at one revision, encoded once for all readers that get it.
 *
 * It is built chunk by chunk, so that a large channel does not hold up the event loop: the first chunk is there at
 * once, `build` makes each of the others. What happens to the channel meanwhile does not touch it.
 */
export class SharedSnapshot {
  readonly #chunks: Piece[] = [];
  /** `undefined` once all chunks are built, so that what they were made of can be forgotten. */
  #subject: SnapshotSubject | undefined;
  #built = 0;
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

  /** Builds the next chunk, if one is missing, and tells those who wait for it. */
  build(): void {
    if (!this.#subject) return;
    const { codec, occupancy, stateBytes, revision, time, maxChunkBytes } = this.#subject;
    const chunk: StateBytes[] = [];
    let bytes = ENVELOPE_BYTES;
    while (this.#built < occupancy) {
      const user = stateBytes(this.#built);
      const more = user.length + USER_OVERHEAD_BYTES;
      if (bytes + more > maxChunkBytes && chunk.length > 0) break;
      chunk.push(user);
      bytes += more;
      this.#built += 1;
    }
    const last = this.#built === occupancy;
    this.#chunks.push(codec.snapshot({ users: chunk, revision, time, occupancy, last }));
    if (last) this.#subject = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }
}
