import fc from "fast-check";
import {
  type ChangeItem,
  createHistory,
  type HeardItem,
  type History,
  hears,
  type Position,
  type SnapshotItem,
  type UserRecord,
} from "../../guarantees/history.js";
import type { Change, Truth } from "../../guarantees/truth.js";
import { at as positionAt } from "./samples.js";

/** What somebody tries to do next; what comes of it depends on whether the user is there. */
interface Attempt {
  readonly user: number;
  readonly roll: number;
  readonly key: string;
  readonly value: string;
}

/** Where a reader's stream breaks, and how it goes on. */
interface Cut {
  /** After that many changes since the subscription. */
  readonly after: number;
  /** Changes that happen before it is back. */
  readonly away: number;
  readonly resumes: boolean;
}

/** A channel's life and a reader in it. */
export interface Scene {
  readonly truth: Truth & { readonly changes: readonly Change[] };
  /** The revision at which the reader subscribed. */
  readonly subscribedAt: number;
  readonly reader: { readonly userId: string; readonly quiet: boolean; readonly includeSelf: boolean };
  readonly chunkSize: number;
  readonly cuts: readonly Cut[];
}

type Users = ReadonlyMap<string, UserRecord>;

/** The revision at which the channel begins, as large as a server's. Below, revisions count from it. */
const FIRST_REVISION = 13_900_000_000_000;

const READER = "rosa";
const USERS = [READER, "mina", "tony", "eve", "kim"];

const attempt: fc.Arbitrary<Attempt> = fc.record({
  user: fc.nat(USERS.length - 1),
  roll: fc.nat(9),
  key: fc.constantFrom("mic", "mode"),
  value: fc.constantFrom("on", "off", ""),
});

const cut: fc.Arbitrary<Cut> = fc.record({ after: fc.nat(20), away: fc.nat(3), resumes: fc.boolean() });

/** Scenes with up to 40 changes by five users, the reader's own among them. */
export const scenes: fc.Arbitrary<Scene> = fc
  .record({
    before: fc.array(attempt, { maxLength: 15 }),
    after: fc.array(attempt, { maxLength: 25 }),
    quiet: fc.boolean(),
    includeSelf: fc.boolean(),
    chunkSize: fc.integer({ min: 1, max: 3 }),
    cuts: fc.array(cut, { maxLength: 3 }),
  })
  .map(({ before, after, quiet, includeSelf, chunkSize, cuts }) => {
    const changes: Change[] = [];
    for (const one of before) if (quiet || one.user !== 0) append(changes, one, true);
    if (!quiet) commit(changes, "join", READER);
    const subscribedAt = changes.length;
    for (const one of after) append(changes, one, quiet || one.user !== 0);
    const final = new Map([...usersAt(changes, changes.length)].map(([userId, user]) => [userId, user.states]));
    return {
      truth: { changes, final: { users: final, position: at(changes.length) } },
      subscribedAt,
      reader: { userId: READER, quiet, includeSelf },
      chunkSize,
      cuts,
    };
  });

/** Carries out an attempt; a user whose stream is open (`mayGo` false) only changes its state. */
function append(changes: Change[], { user, roll, key, value }: Attempt, mayGo: boolean): void {
  const userId = USERS[user]!;
  const here = usersAt(changes, changes.length).get(userId);
  if (!here) commit(changes, "join", userId);
  else if (roll < 2 && mayGo) commit(changes, roll === 0 ? "leave" : "timeout", userId);
  else if (roll < 8) commit(changes, "state", userId, { ...here.states, [key]: value });
  else
    commit(changes, "state", userId, Object.fromEntries(Object.entries(here.states).filter(([name]) => name !== key)));
}

function commit(changes: Change[], kind: Change["kind"], userId: string, states: Change["states"] = {}): void {
  changes.push({ position: at(changes.length + 1), kind, userId, states });
}

/** Who is there after that many changes: the naive fold that the validators are tried against. */
function usersAt(changes: readonly Change[], revision: number): Users {
  const users = new Map<string, UserRecord>();
  for (const change of changes.slice(0, revision)) {
    const { kind, userId, states, position } = change;
    if (kind === "join") users.set(userId, { userId, states: {}, revision: 0n });
    else if (kind === "state") users.set(userId, { userId, states, revision: position.revision });
    else users.delete(userId);
  }
  return users;
}

/** What a server without fault sends a reader that keeps up and, where `scene.cuts` says so, breaks off and returns. */
export function perfectReader(scene: Scene): History {
  const { truth, subscribedAt } = scene;
  const history = createHistory(scene.reader);
  let held = open(history, scene, subscribedAt);
  let heardSome = false;
  for (let revision = subscribedAt + 1; revision <= truth.changes.length; revision++) {
    const change = truth.changes[revision - 1]!;
    if (hears(history, change.userId)) {
      history.items.push(single(scene, revision));
      held = at(revision);
      heardSome = true;
    }
    const broken = scene.cuts.find((one) => one.after === revision - subscribedAt);
    // A stream that was cut before it said anything cannot be told from one that lost everything.
    if (!broken || !heardSome) continue;
    heardSome = false;
    history.items.push({ kind: "end" });
    if (broken.resumes) {
      history.items.push({ kind: "begin", resumeFrom: held, expect: "events" });
      history.items.push(subscribedItem(scene, Number(held.revision) - FIRST_REVISION));
    } else {
      revision = Math.min(revision + broken.away, truth.changes.length);
      held = open(history, scene, revision);
    }
  }
  return history;
}

/** What a reader hears of a channel in interval mode (S18), with INTERVALs of `step` changes. */
export function intervalReader(scene: Scene, step: number): History {
  const { changes } = scene.truth;
  const history = createHistory(scene.reader);
  open(history, scene, scene.subscribedAt);
  for (let from = scene.subscribedAt; from < changes.length; from += step) {
    const to = Math.min(from + step, changes.length);
    const net = [...netChanges(scene, from, to)];
    const named = (kind: string) => net.filter((one) => one.kind === kind).map((one) => one.userId);
    history.items.push({
      ...heard(to),
      kind: "interval",
      joined: named("join"),
      left: named("leave"),
      timedOut: named("timeout"),
      changed: net.flatMap((one) => one.changed ?? []),
      occupancy: usersAt(changes, to).size,
    });
  }
  return history;
}

/** What a slow reader hears (S16a) that looks up every `step` changes: what is pending, collapsed for each user. */
export function slowReader(scene: Scene, step: number): History {
  const { changes } = scene.truth;
  const history = createHistory(scene.reader);
  open(history, scene, scene.subscribedAt);
  for (let from = scene.subscribedAt; from < changes.length; from += step) {
    const to = Math.min(from + step, changes.length);
    const pending = [...netChanges(scene, from, to)].filter(({ userId }) => hears(history, userId));
    for (const [i, { userId, kind, changed, revision }] of pending.entries()) {
      // The last one stands for everything up to `to`, also for what collapsed to nothing.
      const stamp = i === pending.length - 1 ? to : revision;
      const occupancy = usersAt(changes, stamp).size;
      if (kind) history.items.push({ ...heard(stamp), kind, userId, occupancy });
      if (changed) history.items.push(stateItem(stamp, changed, {}));
    }
  }
  return history;
}

/** What happened to a user on balance: it came or went or not, and its state if that is another one now. */
interface Net {
  readonly userId: string;
  readonly kind?: "join" | "leave" | "timeout";
  readonly changed?: UserRecord;
  readonly revision: number;
}

function* netChanges(scene: Scene, from: number, to: number): Generator<Net> {
  const { changes } = scene.truth;
  const [old, now] = [usersAt(changes, from), usersAt(changes, to)];
  const last = new Map<string, number>();
  for (let revision = from + 1; revision <= to; revision++) {
    const { userId } = changes[revision - 1]!;
    last.delete(userId);
    last.set(userId, revision);
  }
  for (const [userId, revision] of last) {
    const [before, after] = [old.get(userId), now.get(userId)];
    const changed = after && after.revision !== (before?.revision ?? 0n) ? after : undefined;
    if (!before && after) yield { userId, kind: "join", changed, revision };
    else if (changed) yield { userId, changed, revision };
    else if (before && !after) {
      yield { userId, kind: changes[revision - 1]?.kind === "leave" ? "leave" : "timeout", revision };
    }
  }
}

/** A stream begins: SUBSCRIBED and SNAPSHOT. Returns the position that the reader then holds. */
function open(history: History, scene: Scene, revision: number): Position {
  history.items.push({ kind: "begin" }, subscribedItem(scene, revision), ...snapshotItems(scene, revision));
  return at(revision);
}

function at(revision: number): Position {
  return positionAt(FIRST_REVISION + revision);
}

function heard(revision: number) {
  return { position: at(revision), channel: "MESSAGE/chat_room", size: 100, message: revision };
}

function subscribedItem(scene: Scene, revision: number): HeardItem {
  const occupancy = usersAt(scene.truth.changes, revision).size;
  return { ...heard(revision), kind: "subscribed", sessionId: "s1", resumed: false, occupancy };
}

function snapshotItems(scene: Scene, revision: number): SnapshotItem[] {
  const users = [...usersAt(scene.truth.changes, revision).values()];
  const chunks: SnapshotItem[] = [];
  do {
    const part = users.slice(chunks.length * scene.chunkSize, (chunks.length + 1) * scene.chunkSize);
    const last = (chunks.length + 1) * scene.chunkSize >= users.length;
    chunks.push({ ...heard(revision), kind: "snapshot", users: part, last, occupancy: users.length });
  } while (!chunks.at(-1)?.last);
  return chunks;
}

function single(scene: Scene, revision: number): ChangeItem {
  const { changes } = scene.truth;
  const { kind, userId } = changes[revision - 1]!;
  const after = usersAt(changes, revision);
  if (kind !== "state") return { ...heard(revision), kind, userId, occupancy: after.size };
  return stateItem(revision, after.get(userId)!, usersAt(changes, revision - 1).get(userId)?.states ?? {});
}

function stateItem(revision: number, { userId, states, revision: own }: UserRecord, old: Change["states"]): ChangeItem {
  const changedKeys = Object.keys(states).filter((key) => states[key] !== old[key]);
  const removedKeys = Object.keys(old).filter((key) => !(key in states));
  return {
    ...heard(revision),
    kind: "state",
    userId,
    states,
    stateRevision: own,
    changedKeys: changedKeys.sort(),
    removedKeys: removedKeys.sort(),
  };
}
