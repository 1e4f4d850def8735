import type { UserState } from "../model/user_state.js";
import type { EventCodec, StateBytes } from "./ports.js";

/**
 * How many users are encoded together. A change makes as many be encoded anew for the next snapshot; fewer would make
 * more parts of each snapshot.
 */
export const SEGMENT_USERS = 256;

/** A user as a snapshot takes it. Another object once anything about the user is different. */
export interface SnapshotUser {
  readonly state: UserState;
  /** Its encoded state, where that is kept. */
  bytes: StateBytes | undefined;
}

/** Tag and length of one user in a chunk. */
const USER_OVERHEAD_BYTES = 5;

/**
 * Some users of a snapshot, encoded side by side when that is first needed, and for all snapshots that have the same
 * users in the same state.
 */
export class SnapshotUsers {
  /** `undefined` once they are encoded, so that what they were made of can be forgotten. */
  #users: readonly SnapshotUser[] | undefined;
  #bodies: readonly Uint8Array[] = [];

  /** `keepBytes`: whether the bytes of each user are kept too, for users who will soon be encoded together with others. */
  constructor(
    users: readonly SnapshotUser[],
    private readonly keepBytes: boolean,
  ) {
    this.#users = users;
  }

  /** How many users have still to be encoded. */
  get unencoded(): number {
    return this.#users?.length ?? 0;
  }

  /** The encoded users, in parts of at most `maxBytes`, or of one user. */
  bodies(codec: EventCodec, maxBytes: number): readonly Uint8Array[] {
    if (this.#users) {
      this.#bodies = this.#encode(this.#users, codec, maxBytes);
      this.#users = undefined;
    }
    return this.#bodies;
  }

  #encode(users: readonly SnapshotUser[], codec: EventCodec, maxBytes: number): readonly Uint8Array[] {
    const bodies: Uint8Array[] = [];
    let together: StateBytes[] = [];
    let size = 0;
    for (const user of users) {
      const bytes = user.bytes ?? codec.state(user.state);
      user.bytes = this.keepBytes ? bytes : undefined;
      const more = bytes.length + USER_OVERHEAD_BYTES;
      if (size + more > maxBytes && together.length > 0) {
        bodies.push(codec.users(together));
        together = [];
        size = 0;
      }
      together.push(bytes);
      size += more;
    }
    if (together.length > 0) bodies.push(codec.users(together));
    return bodies;
  }
}
