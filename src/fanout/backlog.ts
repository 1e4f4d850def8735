import type { Delta, DepartureDelta, JoinDelta, StateDelta } from "../model/delta.js";

interface Slot<D extends Delta> {
  readonly delta: D;
  readonly bytes: number;
}

/** What is still to be told of one user: at most a departure, then a join, then a state. */
interface PendingUser {
  readonly departure?: Slot<DepartureDelta>;
  readonly join?: Slot<JoinDelta>;
  readonly state?: Slot<StateDelta>;
}

const NOTHING: PendingUser = {};

/**
 * The changes that a slow reader has not been told yet, collapsed to what brings it to the present (S16a).
 *
 * Per user, later changes replace earlier ones so that what is left is ordered, convergent and alternating, whatever
 * the interleaving: a user whom the reader knows can be told as departed, as departed and joined again, or as changed;
 * one whom it does not know as joined, or not at all.
 */
export class Backlog {
  readonly #users = new Map<string, PendingUser>();
  #bytes = 0;
  /** Where the channel stood after the last change that went in. */
  #head = { revision: 0, occupancy: 0 };

  /** About the bytes that telling all of it would take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many users something is to be told of. */
  get size(): number {
    return this.#users.size;
  }

  /** Adds the channel's next change, whose encoding has `bytes` bytes. */
  add(delta: Delta, bytes: number): void {
    this.#head = { revision: delta.revision, occupancy: delta.occupancy };
    const before = this.#users.get(delta.userId) ?? NOTHING;
    const after = collapse(before, delta, bytes);
    this.#bytes += bytesOf(after) - bytesOf(before);
    if (after === NOTHING) this.#users.delete(delta.userId);
    else this.#users.set(delta.userId, after);
  }

  /**
   * Takes out everything, in the order of revisions.
   *
   * What comes out brings the reader to the revision of the last change that went in, and only as a whole; so the last
   * one bears that revision and its occupancy, even if its own are others, and the whole has to be told in one message.
   * Otherwise a reader that goes on from a position in between would be told of changes to what it was never told of.
   */
  drain(): Delta[] {
    const deltas = this.collapsed();
    this.clear();
    return deltas;
  }

  /** What `drain` takes out, left where it is. */
  collapsed(): Delta[] {
    const deltas: Delta[] = [];
    for (const { departure, join, state } of this.#users.values()) {
      if (departure) deltas.push(departure.delta);
      if (join) deltas.push(join.delta);
      if (state) deltas.push(state.delta);
    }
    deltas.sort((a, b) => a.revision - b.revision);
    const last = deltas.pop();
    if (last) deltas.push({ ...last, ...this.#head });
    return deltas;
  }

  /** Drops everything. */
  clear(): void {
    this.#users.clear();
    this.#bytes = 0;
  }
}

function collapse(before: PendingUser, delta: Delta, bytes: number): PendingUser {
  switch (delta.kind) {
    case "join":
      return { departure: before.departure, join: { delta, bytes } };
    case "state":
      if (!before.state) return { ...before, state: { delta, bytes } };
      return { ...before, state: merge(before.state, delta, bytes) };
    default:
      // A user that joined while the reader was away is one that the reader never knew, and need not.
      if (before.join && !before.departure) return NOTHING;
      return { departure: { delta, bytes } };
  }
}

function bytesOf({ departure, join, state }: PendingUser): number {
  return (departure?.bytes ?? 0) + (join?.bytes ?? 0) + (state?.bytes ?? 0);
}

/** One change that stands for two of the same user: the later state, and the keys that either of them touched. */
function merge(first: Slot<StateDelta>, second: StateDelta, bytes: number): Slot<StateDelta> {
  const changed = new Set(first.delta.changedKeys);
  const removed = new Set(first.delta.removedKeys);
  for (const key of second.changedKeys) {
    changed.add(key);
    removed.delete(key);
  }
  for (const key of second.removedKeys) {
    changed.delete(key);
    removed.add(key);
  }
  const delta = { ...second, changedKeys: [...changed].sort(), removedKeys: [...removed].sort() };
  const more = keyChars(delta) - keyChars(second);
  return { delta, bytes: bytes + Math.max(more, 0) };
}

function keyChars({ changedKeys, removedKeys }: StateDelta): number {
  let chars = 0;
  for (const key of changedKeys) chars += key.length + 2;
  for (const key of removedKeys) chars += key.length + 2;
  return chars;
}
