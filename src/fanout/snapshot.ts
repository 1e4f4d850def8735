import type { ChannelCodec, Piece, StateBytes } from "./ports.js";
import { type BuiltChunk, ChunkDraft, EarlierUsers, type SnapshotUser } from "./snapshot_chunk.js";

/** The largest SNAPSHOT event, in bytes (S15). */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** Room in a chunk for all that is not a user: channel, position, time, counts. */
const ENVELOPE_BYTES = 1024;

/** What a snapshot is of. */
export interface SnapshotSubject {
  readonly codec: ChannelCodec;
  /** Everybody who is present at `revision`. */
  readonly users: readonly SnapshotUser[];
  /** A user's encoded state, made now where it was not needed before. */
  readonly stateBytes: (user: SnapshotUser) => StateBytes;
  /** How many bytes an encoded state takes in a chunk. */
  readonly sizeOf: (state: StateBytes) => number;
  /** What an earlier snapshot was built of, its users in the same order; empty if there is none. */
  readonly earlier: readonly BuiltChunk[];
  /** The channel's revision, which the snapshot includes. */
  readonly revision: number;
  /** When it was taken, ms since 1970. */
  readonly time: number;
  /** The largest chunk, in bytes; a chunk of one user may be larger. */
  readonly maxChunkBytes: number;
}

/** How many users are encoded at a time, before other work gets its turn. */
const STEP_USERS = 500;

/** Whether a snapshot of so many users takes more than one step, and is worth keeping for the next one. */
export function isLarge(users: number): boolean {
  return users > STEP_USERS;
}

/**
 * A snapshot of one channel at one revision, encoded once for all readers that get it.
 *
 * It is built step by step, so that a large channel does not hold up the event loop: a small one is complete at once,
 * a large one after many calls of `build`. What happens to the channel meanwhile does not touch it.
 *
 * What an earlier snapshot has of users who are as they were is copied in stretches: gathering fifty thousand small
 * buffers from all over the memory takes as long as sending them.
 */
export class SharedSnapshot {
  readonly #chunks: Piece[] = [];
  readonly #built: BuiltChunk[] = [];
  /** `undefined` once all chunks are built, so that what they were made of can be forgotten. */
  #subject: SnapshotSubject | undefined;
  readonly #earlier: EarlierUsers;
  /** How many users are in chunks, or in the one that is being filled. */
  #taken = 0;
  #draft = new ChunkDraft();
  #waiting: (() => void)[] = [];
  readonly revision: number;

  constructor(subject: SnapshotSubject) {
    this.#subject = subject;
    this.#earlier = new EarlierUsers(subject.earlier);
    this.revision = subject.revision;
    this.build();
  }

  /** Whether all chunks are built. */
  get isComplete(): boolean {
    return this.#subject === undefined;
  }

  /** What the next snapshot can be built of, once this one is complete; empty where that would save nothing. */
  get built(): readonly BuiltChunk[] {
    return this.#built;
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
    const subject = this.#subject;
    if (!subject) return;
    const { users } = subject;
    const before = this.#chunks.length;
    for (let encoded = 0; this.#taken < users.length && this.#chunks.length === before; this.#taken++) {
      if (encoded === STEP_USERS) return;
      encoded += this.#take(subject, users[this.#taken]!);
    }
    if (this.#taken === users.length) {
      this.#close(subject, true);
      this.#subject = undefined;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }

  /** Puts a user into the chunk, or into the next one; gives how many had to be encoded. */
  #take(subject: SnapshotSubject, user: SnapshotUser): number {
    const isKnown = this.#earlier.find(user);
    const state = isKnown ? undefined : subject.stateBytes(user);
    const size = state ? subject.sizeOf(state) : this.#earlier.size;
    if (this.#isFull(subject.maxChunkBytes - ENVELOPE_BYTES, size)) this.#close(subject, false);
    if (!state) {
      this.#earlier.takeOver(this.#draft);
      return 0;
    }
    this.#draft.add(user, state, size);
    return 1;
  }

  /** Ends chunks where the earlier ones ended, so that one in which nothing changed is copied in one piece. */
  #isFull(maxBytes: number, more: number): boolean {
    const { bytes, isEmpty } = this.#draft;
    const isAtEnd = this.#earlier.hasPassedEnd() && bytes >= maxBytes / 2;
    return isAtEnd || (bytes + more > maxBytes && !isEmpty);
  }

  #close({ codec, users, revision, time }: SnapshotSubject, last: boolean): void {
    const draft = this.#draft;
    const chunk = codec.snapshot({ parts: draft.parts, revision, time, occupancy: users.length, last });
    this.#chunks.push(chunk.piece);
    if (isLarge(users.length)) this.#built.push(draft.built(chunk.users));
    this.#draft = new ChunkDraft();
  }
}
