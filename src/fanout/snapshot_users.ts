import type { EventCodec, SnapshotUser } from "./ports.js";

/**
 * How many users are encoded together. A change makes as many be encoded anew for the next snapshot; fewer would make
 * more parts of each snapshot.
 */
export const SEGMENT_USERS = 256;

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
    const users = this.#users;
    if (users) {
      if (this.keepBytes) for (const user of users) user.bytes ??= codec.state(user.state);
      this.#bodies = codec.users(users, maxBytes);
      if (!this.keepBytes) for (const user of users) user.bytes = undefined;
      this.#users = undefined;
    }
    return this.#bodies;
  }
}
