import fc from "fast-check";
import type { HeardItem, History, Item, UserRecord } from "../../guarantees/history.js";
import { MAX_CHUNK_BYTES } from "../../guarantees/opening.js";

/** One fault put into a history, and what it is called. */
export interface Mutation {
  readonly what: string;
  readonly history: History;
}

/** What makes one item say something else. Undefined where it does not apply. */
type Alteration = (item: HeardItem) => HeardItem | undefined;

const ALTERATIONS: Record<string, Alteration> = {
  // SUBSCRIBED may well be of an earlier revision than the SNAPSHOT.
  "revision + 1": (item) => (item.kind === "subscribed" ? undefined : moved(item, 1n)),
  "revision - 1": (item) => (item.kind === "subscribed" ? undefined : moved(item, -1n)),
  "revision + 1000": (item) => moved(item, 1000n),
  "another epoch": (item) => ({ ...item, position: { ...item.position, epoch: "e2" } }),
  "another channel": (item) => ({ ...item, channel: "STREAM/chat_room" }),
  "no session id": (item) => (item.kind === "subscribed" ? { ...item, sessionId: "" } : undefined),
  "chunk too large": (item) => (item.kind === "snapshot" ? { ...item, size: MAX_CHUNK_BYTES + 1 } : undefined),
  "last or not": (item) => (item.kind === "snapshot" ? { ...item, last: !item.last } : undefined),
  "occupancy + 1": (item) => ("occupancy" in item ? { ...item, occupancy: item.occupancy + 1 } : undefined),
  "another user": (item) => {
    if (item.kind === "snapshot") return withUser(item, (user) => ({ ...user, userId: "stranger" }));
    if ("userId" in item) return { ...item, userId: "stranger" };
    return item.kind === "interval" && item.joined.length > 0 ? { ...item, joined: ["stranger"] } : undefined;
  },
  "another kind": (item) => {
    if (item.kind === "interval") {
      const { joined, left } = item;
      return joined.length + left.length > 0 ? { ...item, joined: left, left: joined } : undefined;
    }
    return "userId" in item && item.kind !== "state"
      ? { ...item, kind: item.kind === "leave" ? "timeout" : "leave" }
      : undefined;
  },
  "another value": (item) =>
    withStates(item, (states) => ({ ...states, [Object.keys(states)[0] ?? "mic"]: "altered" })),
  "one key less": (item) => withStates(item, (states) => Object.fromEntries(Object.entries(states).slice(1))),
  "another state revision": (item) => {
    if (item.kind === "state") return { ...item, stateRevision: item.stateRevision + 1n };
    const altered = (user: UserRecord) => ({ ...user, revision: user.revision + 1n });
    return item.kind === "snapshot" || item.kind === "interval" ? withUser(item, altered) : undefined;
  },
  "one changed key more": (item) =>
    item.kind === "state" ? { ...item, changedKeys: [...item.changedKeys, "zzz"] } : undefined,
  "one removed key more": (item) =>
    item.kind === "state" ? { ...item, removedKeys: [...item.removedKeys, "zzz"] } : undefined,
};

/** The names of all alterations, for tests that try some of them. */
export const ALL_ALTERATIONS = Object.keys(ALTERATIONS);

function moved<T extends HeardItem>(item: T, by: bigint): T | undefined {
  const revision = item.position.revision + by;
  return revision < 0n ? undefined : { ...item, position: { ...item.position, revision } };
}

function withUser(item: HeardItem, alter: (user: UserRecord) => UserRecord | undefined): HeardItem | undefined {
  const [first, ...others] = item.kind === "snapshot" ? item.users : item.kind === "interval" ? item.changed : [];
  const altered = first && alter(first);
  if (!altered) return undefined;
  const users = [altered, ...others];
  if (item.kind === "snapshot") return { ...item, users };
  return item.kind === "interval" ? { ...item, changed: users } : undefined;
}

function withStates(
  item: HeardItem,
  alter: (states: UserRecord["states"]) => UserRecord["states"],
): HeardItem | undefined {
  const altered = <T extends { readonly states: UserRecord["states"] }>(holder: T): T | undefined => {
    const states = alter(holder.states);
    return JSON.stringify(states) === JSON.stringify(holder.states) ? undefined : { ...holder, states };
  };
  return item.kind === "state" ? altered(item) : withUser(item, altered);
}

/** Which of a history's faults to make. */
export interface Choice {
  readonly kind: "drop" | "duplicate" | "swap" | "alter";
  /** Picks the item, and the other one or the place. Any numbers. */
  readonly first: number;
  readonly second: number;
  readonly alteration: string;
}

/** Choices among these kinds of faults and alterations. */
export function choices(
  kinds: readonly Choice["kind"][],
  alterations: readonly string[] = ALL_ALTERATIONS,
): fc.Arbitrary<Choice> {
  return fc.record({
    kind: fc.constantFrom(...kinds),
    first: fc.nat(1000),
    second: fc.nat(1000),
    alteration: fc.constantFrom(...alterations),
  });
}

/** The history with one fault; undefined when this choice would change nothing that a client could see. */
export function mutate(history: History, choice: Choice): Mutation | undefined {
  const heard = [...history.items.entries()].filter(([, item]) => item.kind !== "begin" && item.kind !== "end");
  const i = heard[choice.first % heard.length]![0];
  const j = heard[choice.second % heard.length]![0];
  const items: Item[] = [...history.items];
  const [one, other] = [items[i] as HeardItem, items[j] as HeardItem];
  let what = `${choice.kind} ${i}`;
  switch (choice.kind) {
    case "drop":
      items.splice(i, 1);
      break;
    case "duplicate":
      what += ` after ${Math.max(i, j)}`;
      items.splice(Math.max(i, j) + 1, 0, one);
      break;
    case "swap":
      // Chunks of a SNAPSHOT come in no order, but for the last one.
      if (i === j || (one.kind === "snapshot" && other.kind === "snapshot" && one.last === other.last))
        return undefined;
      what += ` and ${j}`;
      items[i] = other;
      items[j] = one;
      break;
    case "alter": {
      const resumed = i > 0 && items[i - 1]?.kind === "begin" && "resumeFrom" in items[i - 1]!;
      // The occupancy at a resume is that of a moment which nothing else in the history names.
      if (choice.alteration === "occupancy + 1" && resumed) return undefined;
      const altered = ALTERATIONS[choice.alteration]?.(one);
      if (!altered) return undefined;
      what += `: ${choice.alteration}`;
      items[i] = altered;
      break;
    }
  }
  return { what, history: { ...history, items } };
}
