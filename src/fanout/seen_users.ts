import type { UserState } from "../model/user_state.js";
import type { SnapshotUser } from "./ports.js";
import { SEGMENT_USERS, SnapshotUsers } from "./snapshot_users.js";

/** A segment with fewer users than this is given up, so that a channel that shrank does not consist of remains. */
const FEWEST_USERS = SEGMENT_USERS / 4;

/** One user as the readers of a channel are to see it. */
export interface Seen extends SnapshotUser {
  /** `undefined` in a small channel. */
  segment: Segment | undefined;
  /** Where in its segment. */
  index: number;
}

/** Users of a large channel who are encoded together. */
class Segment {
  /** Who left leaves a gap. */
  users: (Seen | undefined)[] = [];
  present = 0;
  /** For as long as nothing changes. */
  encoded: SnapshotUsers | undefined;
}

/**
 * Who is present, as the readers of a channel are to see them.
 *
 * In a large channel they stand in segments. What a snapshot encodes of a segment serves the next ones too until one of
 * its users changes, so that whoever joins a channel of fifty thousand does not make all of them be gathered again.
 */
export class SeenUsers {
  readonly #users = new Map<string, Seen>();
  /** In the order of joining, more or less. None until the channel is larger than one; there may be very many small ones. */
  #segments: Set<Segment> | undefined;
  /** Where those who join go. */
  #open: Segment | undefined;

  /** How many are present. */
  get size(): number {
    return this.#users.size;
  }

  /** What is to be seen of a user, if it is present. */
  get(userId: string): Seen | undefined {
    return this.#users.get(userId);
  }

  /** A user is present, with this state. */
  put(state: UserState): void {
    const { userId } = state;
    const known = this.#users.get(userId);
    const seen: Seen = { state, bytes: undefined, segment: known?.segment, index: known?.index ?? 0 };
    this.#users.set(userId, seen);
    if (known?.segment) {
      known.segment.users[seen.index] = seen;
      known.segment.encoded = undefined;
    } else if (this.#open) {
      this.#place(seen);
    } else if (this.#users.size > SEGMENT_USERS) {
      for (const user of this.#users.values()) this.#place(user);
    }
  }

  /** A user is not present any more. */
  delete(userId: string): void {
    const seen = this.#users.get(userId);
    if (!seen) return;
    this.#users.delete(userId);
    const { segment, index } = seen;
    if (!segment) return;
    segment.users[index] = undefined;
    segment.present -= 1;
    segment.encoded = undefined;
    if (segment.present < FEWEST_USERS && segment !== this.#open) {
      this.#segments!.delete(segment);
      for (const user of segment.users) if (user) this.#place(user);
    }
  }

  /** Everybody, to make a snapshot of: what happens from now on does not touch it. */
  forSnapshot(): readonly SnapshotUsers[] {
    if (this.#users.size <= SEGMENT_USERS) return [new SnapshotUsers([...this.#users.values()], true)];
    return Array.from(this.#segments!, (segment) => {
      segment.encoded ??= new SnapshotUsers(
        segment.users.filter((user) => user !== undefined),
        segment === this.#open,
      );
      return segment.encoded;
    });
  }

  #place(seen: Seen): void {
    const segment = this.#roomySegment();
    seen.segment = segment;
    seen.index = segment.users.push(seen) - 1;
    segment.present += 1;
    segment.encoded = undefined;
  }

  #roomySegment(): Segment {
    const open = this.#open;
    if (open && open.users.length < SEGMENT_USERS) return open;
    if (open && open.present <= SEGMENT_USERS / 2) {
      open.users = open.users.filter((user) => user !== undefined);
      open.users.forEach((user, index) => {
        user!.index = index;
      });
      return open;
    }
    this.#open = new Segment();
    this.#segments ??= new Set();
    this.#segments.add(this.#open);
    return this.#open;
  }
}
