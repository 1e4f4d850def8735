import {
  createHistory,
  type History,
  type IntervalItem,
  type Item,
  type PresenceItem,
  type ReaderOptions,
  type SnapshotItem,
  type StateItem,
  type States,
  type SubscribedItem,
  type UserRecord,
} from "../../guarantees/history.js";
import type { Change, Truth } from "../../guarantees/truth.js";
import type { Violation } from "../../guarantees/violation.js";

/** The epoch of all samples that do not name another. */
export const EPOCH = "e1";

/** What every heard item of a sample has: a position in EPOCH, 100 bytes, one message for all. */
function heard(revision: number) {
  return {
    position: { epoch: EPOCH, revision: BigInt(revision) },
    channel: "MESSAGE/chat_room",
    size: 100,
    message: 0,
  };
}

/** A position in EPOCH. */
export function at(revision: number) {
  return heard(revision).position;
}

/** SUBSCRIBED at a revision. */
export function subscribed(revision: number, occupancy = 1): SubscribedItem {
  return { ...heard(revision), kind: "subscribed", sessionId: "s1", resumed: false, occupancy };
}

/** A whole SNAPSHOT, or with `chunk` one part of it. Users without a record have no state. */
export function snapshot(
  revision: number,
  users: readonly (string | UserRecord)[],
  chunk: { last?: boolean; occupancy?: number; size?: number } = {},
): SnapshotItem {
  const records = users.map((user) => (typeof user === "string" ? record(user, {}, 0) : user));
  return { ...heard(revision), kind: "snapshot", last: true, occupancy: users.length, ...chunk, users: records };
}

/** A user in a SNAPSHOT or INTERVAL. */
export function record(userId: string, states: States, revision: number): UserRecord {
  return { userId, states, revision: BigInt(revision) };
}

/** REMOTE_JOIN, REMOTE_LEAVE or REMOTE_TIMEOUT. */
export function presence(kind: PresenceItem["kind"], userId: string, revision: number, occupancy = 2): PresenceItem {
  return { ...heard(revision), kind, userId, occupancy };
}

/** REMOTE_STATE_CHANGED; all its keys are new unless said otherwise. */
export function state(
  userId: string,
  revision: number,
  states: States,
  keys: { changed?: string[]; removed?: string[] } = {},
): StateItem {
  const changedKeys = keys.changed ?? Object.keys(states).sort();
  const removedKeys = keys.removed ?? [];
  return {
    ...heard(revision),
    kind: "state",
    userId,
    states,
    stateRevision: BigInt(revision),
    changedKeys,
    removedKeys,
  };
}

/** INTERVAL, empty but for what is given. */
export function interval(revision: number, parts: Partial<IntervalItem> = {}): IntervalItem {
  const nothing = { joined: [], left: [], timedOut: [], changed: [], occupancy: 2 };
  return { ...heard(revision), kind: "interval", ...nothing, ...parts };
}

/** OUT_OF_SERVICE. */
export function outOfService(revision: number): Item {
  return { ...heard(revision), kind: "out_of_service", description: "the engine is gone" };
}

/** The history of the reader `rosa` (or as given) with these items; a `begin` is put before them if they have none. */
export function historyOf(items: readonly Item[], options: Partial<ReaderOptions> = {}): History {
  const history = createHistory({ userId: "rosa", ...options });
  if (items[0]?.kind !== "begin") history.items.push({ kind: "begin" });
  history.items.push(...items);
  return history;
}

/** A committed change in EPOCH. */
export function change(revision: number, kind: Change["kind"], userId: string, states: States = {}): Change {
  return { position: at(revision), kind, userId, states };
}

/**
 * A little story for most tests: rosa (the reader) joins, then mina joins, sets a state twice and leaves, and rosa
 * sets her own state in between, at revision 4.
 */
export const STORY: Truth & { changes: readonly Change[] } = {
  changes: [
    change(1, "join", "rosa"),
    change(2, "join", "mina"),
    change(3, "state", "mina", { mic: "on" }),
    change(4, "state", "rosa", { mood: "fine" }),
    change(5, "state", "mina", { mode: "happy" }),
    change(6, "leave", "mina"),
  ],
  final: { users: new Map([["rosa", { mood: "fine" }]]), position: at(6) },
};

/** What rosa hears of the story: the good history that the tests break. */
export function storyItems() {
  return [
    subscribed(1, 1),
    snapshot(1, ["rosa"]),
    presence("join", "mina", 2),
    state("mina", 3, { mic: "on" }),
    state("mina", 5, { mode: "happy" }, { changed: ["mode"], removed: ["mic"] }),
    presence("leave", "mina", 6, 1),
  ] as const;
}

/** Where the violations showed, for short comparisons. */
export function places(violations: readonly Violation[]): number[] {
  return violations.map((violation) => violation.index);
}
