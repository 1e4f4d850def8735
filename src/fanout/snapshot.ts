import type { ChannelCodec, EventCodec, SnapshotChunk } from "./ports.js";
import { SEGMENT_USERS, type SnapshotUsers } from "./snapshot_users.js";

/** The largest SNAPSHOT event, in bytes (S15). */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** Room in a chunk for all that is not a user: channel, position, time, counts. */
const ENVELOPE_BYTES = 1024;

/** What a snapshot is of. */
export interface SnapshotSubject {
  readonly codec: ChannelCodec;
  readonly eventCodec: EventCodec;
  /** How many users are present at `revision`. */
  readonly occupancy: number;
  /** All of them, as of `revision`. */
  readonly users: readonly SnapshotUsers[];
  /** The channel's revision, which the snapshot includes. */
  readonly revision: number;
  /** When it was taken, ms since 1970. */
  readonly time: number;
  /** The largest chunk, in bytes; a chunk of one user may be larger. */
  readonly maxChunkBytes: number;
}

/** How many users are encoded at a time, before other work gets its turn. */
const STEP_USERS = 2 * SEGMENT_USERS;

/**
 * A snapshot of one channel at one revision, encoded once for all readers that get it.
 *
 * It is built step by step, so that a large channel does not hold up the event loop: a small one is complete at once,
 * a large one after many calls of `build`. What happens to the channel meanwhile does not touch it. Users who are encoded
 * already take no time: a chunk has their bytes as they are.
 */
export class SharedSnapshot {
  readonly #chunks: SnapshotChunk[] = [];
  /** `undefined` once all chunks are built, so that what they were made of can be forgotten. */
  #subject: SnapshotSubject | undefined;
  /** How many of `users` are in chunks, or in the one that is being filled. */
  #taken = 0;
  #filling: Uint8Array[] = [];
  /** Of what is being filled. */
  #bytes = 0;
  #size = 0;
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

  /** Size of the chunks that are built, in bytes. */
  get bytes(): number {
    return this.#size;
  }

  /** The chunk at `index`, counted from 0; `undefined` if it is not built, or after the last. Each is a whole message. */
  chunk(index: number): SnapshotChunk | undefined {
    return this.#chunks[index];
  }

  /** Calls `goOn` once, when the next chunk is built. Only before it is complete. */
  onceBuilt(goOn: () => void): void {
    this.#waiting.push(goOn);
  }

  /** Goes on building, for a moment, and tells those who wait for a chunk if there is another one. */
  build(): void {
    const subject = this.#subject;
    if (!subject) return;
    const { users, eventCodec, maxChunkBytes } = subject;
    const before = this.#chunks.length;
    const room = maxChunkBytes - ENVELOPE_BYTES;
    let encoded = 0;
    for (; this.#taken < users.length; this.#taken++) {
      const next = users[this.#taken]!;
      if (encoded > 0 && encoded + next.unencoded > STEP_USERS) break;
      encoded += next.unencoded;
      for (const body of next.bodies(eventCodec, room)) {
        if (this.#bytes + body.length > room) this.#close(subject, false);
        this.#filling.push(body);
        this.#bytes += body.length;
      }
    }
    if (this.#taken === users.length) {
      this.#close(subject, true);
      this.#subject = undefined;
    }
    if (this.#chunks.length === before) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }

  #close({ codec, occupancy, revision, time }: SnapshotSubject, last: boolean): void {
    if (this.#filling.length === 0 && !last) return;
    this.#size += this.#bytes;
    this.#chunks.push(codec.snapshot({ users: this.#filling, revision, time, occupancy, last }));
    this.#filling = [];
    this.#bytes = 0;
  }
}
