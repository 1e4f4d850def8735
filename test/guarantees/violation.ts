import type { History, Item, Position, States } from "./history.js";

/** Which promise was broken. One validator for each. */
export type Promised =
  | "brokeOpening"
  | "brokeAudience"
  | "brokeOrdered"
  | "brokeUnique"
  | "brokeGapFree"
  | "brokeConvergent"
  | "brokeAlternating"
  | "brokeResumable"
  | "brokeCommitted";

/** One place where a history breaks a promise. */
export interface Violation {
  readonly name: Promised;
  /** The history's name, or `truth` for the list of changes itself. */
  readonly reader: string;
  /** Index in `history.items` (or in `truth.changes`) where it showed; their length when it is something missing at the end. */
  readonly index: number;
  /** What was seen, and what should have been, in words. */
  readonly seen: string;
}

/** Collects the violations that one validator finds in one history. */
export function collector(name: Promised, history: History) {
  const violations: Violation[] = [];
  return {
    violations,
    report(index: number, seen: string): void {
      violations.push({ name, reader: history.name, index, seen });
    },
  };
}

/** A position in a word: `epoch/revision`. */
export function showPosition(position: Position): string {
  return `${position.epoch}/${position.revision}`;
}

/** A state in a word, keys sorted, long values cut. */
export function showStates(states: States): string {
  const pairs = Object.keys(states)
    .sort()
    .map((key) => `${key}=${shorten(states[key] ?? "", 24)}`);
  return `{${pairs.join(" ")}}`;
}

/** One item of a history in a line of a report. */
export function showItem(item: Item): string {
  switch (item.kind) {
    case "begin":
      return item.resumeFrom ? `begin, resuming after ${showPosition(item.resumeFrom)}` : "begin";
    case "end":
      return item.reason ? `end (${item.reason})` : "end";
    case "subscribed":
      return `SUBSCRIBED at ${showPosition(item.position)}, occupancy ${item.occupancy}`;
    case "snapshot": {
      const users = shorten(item.users.map((user) => user.userId).join(" "), 60);
      const end = item.last ? ", last" : "";
      return `SNAPSHOT at ${showPosition(item.position)} of ${item.users.length}/${item.occupancy} [${users}]${end}`;
    }
    case "interval": {
      const changed = item.changed.map((user) => user.userId);
      const lists = { joined: item.joined, left: item.left, timedOut: item.timedOut, changed };
      const parts = Object.entries(lists).map(([list, users]) => `${list}=[${shorten(users.join(" "), 40)}]`);
      return `INTERVAL at ${showPosition(item.position)} ${parts.join(" ")}, occupancy ${item.occupancy}`;
    }
    case "state":
      return `state of ${item.userId} at ${showPosition(item.position)} ${showStates(item.states)}`;
    case "out_of_service":
      return `OUT_OF_SERVICE at ${showPosition(item.position)}`;
    default:
      return `${item.kind} of ${item.userId} at ${showPosition(item.position)}, occupancy ${item.occupancy}`;
  }
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
