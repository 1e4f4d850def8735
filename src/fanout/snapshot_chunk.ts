import type { UserState } from "../model/user_state.js";
import type { SnapshotPart, StateBytes } from "./ports.js";

/** A user as a snapshot takes it: another object once anything about the user is different. */
export interface SnapshotUser {
  readonly state: UserState;
  /** Its encoded state, where that is kept; made when first needed. */
  bytes: StateBytes | undefined;
}

/** Users side by side in a chunk that was sent, to be taken over by the next snapshot where nothing changed. */
export interface BuiltChunk {
  readonly users: readonly SnapshotUser[];
  readonly bytes: Uint8Array;
  /** Where in `bytes` each user ends. */
  readonly ends: Uint32Array;
}

/** A stretch of an earlier chunk. */
interface Run {
  readonly from: BuiltChunk;
  readonly start: number;
  end: number;
}

/** A chunk that is being filled: with stretches of earlier chunks and with users that are encoded now. */
export class ChunkDraft {
  readonly #users: SnapshotUser[] = [];
  readonly #ends: number[] = [];
  readonly #parts: (Run | StateBytes[])[] = [];

  /** How many bytes its users take. */
  get bytes(): number {
    return this.#ends[this.#ends.length - 1] ?? 0;
  }

  get isEmpty(): boolean {
    return this.#users.length === 0;
  }

  /** Appends the user at `index` of an earlier chunk, as it stands there. */
  takeOver(from: BuiltChunk, index: number): void {
    const start = startOf(from, index);
    const end = from.ends[index]!;
    const last = this.#parts[this.#parts.length - 1];
    if (last && "from" in last && last.from === from && last.end === start) last.end = end;
    else this.#parts.push({ from, start, end });
    this.#append(from.users[index]!, end - start);
  }

  /** Appends a user whose encoded state takes `size` bytes in a chunk. */
  add(user: SnapshotUser, state: StateBytes, size: number): void {
    const last = this.#parts[this.#parts.length - 1];
    if (last && !("from" in last)) last.push(state);
    else this.#parts.push([state]);
    this.#append(user, size);
  }

  /** What it is to be encoded from. */
  get parts(): readonly SnapshotPart[] {
    return this.#parts.map((part) => ("from" in part ? part.from.bytes.subarray(part.start, part.end) : part));
  }

  /** The chunk, once its users have been encoded as `bytes`. */
  built(bytes: Uint8Array): BuiltChunk {
    return { users: this.#users, bytes, ends: Uint32Array.from(this.#ends) };
  }

  #append(user: SnapshotUser, size: number): void {
    this.#ends.push(this.bytes + size);
    this.#users.push(user);
  }
}

/**
 * Goes through the chunks of an earlier snapshot beside the users of a new one, who stand in the same order: those who
 * left are passed over, those who came are behind all others.
 */
export class EarlierUsers {
  #chunk = 0;
  #index = 0;
  #passedEnd = false;

  constructor(private readonly chunks: readonly BuiltChunk[]) {}

  /** Goes to this user, and tells whether the chunks have the very same; if not, it has to be encoded. To be asked in order. */
  find(user: SnapshotUser): boolean {
    for (let chunk = this.chunks[this.#chunk]; chunk; chunk = this.chunks[this.#chunk]) {
      const earlier = chunk.users[this.#index]!;
      if (earlier === user) return true;
      this.#next(chunk);
      if (earlier.state.userId === user.state.userId) return false;
    }
    return false;
  }

  /** How many bytes the user takes that was found. */
  get size(): number {
    const chunk = this.chunks[this.#chunk]!;
    return chunk.ends[this.#index]! - startOf(chunk, this.#index);
  }

  /** Appends the user that was found to `draft`, and goes on to the next. */
  takeOver(draft: ChunkDraft): void {
    const chunk = this.chunks[this.#chunk]!;
    draft.takeOver(chunk, this.#index);
    this.#next(chunk);
  }

  /** Whether the end of a chunk was passed since this was last asked. */
  hasPassedEnd(): boolean {
    const passed = this.#passedEnd;
    this.#passedEnd = false;
    return passed;
  }

  #next({ users }: BuiltChunk): void {
    this.#index += 1;
    if (this.#index < users.length) return;
    this.#index = 0;
    this.#chunk += 1;
    this.#passedEnd = true;
  }
}

function startOf({ ends }: BuiltChunk, index: number): number {
  return index === 0 ? 0 : ends[index - 1]!;
}
