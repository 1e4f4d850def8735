import { KEYS } from "./commands.js";

/** The values of some keys; undefined: removed. */
export type Change = ReadonlyMap<string, string | undefined>;

/** A change of a user's state in a channel, from its call to its answer. */
export interface Write {
  readonly change: Change;
  readonly start: number;
  /** When it was answered; infinite while it may still be carried out. */
  end: number;
  /** `unknown`: in flight, or failed without an answer. */
  outcome: "unknown" | "done" | "refused";
}

/** What one subscription can contribute to the user's state. */
export interface Holder {
  /** When it was first live. */
  readonly liveSince: number | undefined;
  /** Whether it shows each event as soon as it arrives, makes its user present, and is open to this day. */
  readonly isReliable: boolean;
  /** The first fault of its connection since the last rest, and what it showed of its own user then. */
  readonly fault: { readonly at: number; readonly states: Readonly<Record<string, string>> } | undefined;
  /** What it may have set again when it came back, by key; `any`: any value that was ever set. */
  readonly carried: ReadonlyMap<string, ReadonlySet<string>> | "any";
  /** When it came back last. */
  readonly returnedAt: number;
}

/**
 * Which states of one user in one channel are right at rest.
 *
 * Writes overlap, so the order of their effects is known only in part: a value may stand if no write that was answered
 * began after it was answered. A user that may have been absent for a moment, because the server was restarted or no
 * subscription kept it present, has what its devices set again: they must not overwrite what was set meanwhile, and a
 * value must come back if a subscription that was open all the time showed it when its connection failed.
 */
export class OwnState {
  #writes: Write[] = [];
  readonly #everSet = new Map<string, Set<string>>(KEYS.map((key) => [key, new Set()]));
  /** Whether the state at the last rest is unknown: the user was absent then, and may have had a pending state. */
  #isBaseUnknown = false;

  begin(change: Change, start: number): Write {
    const write: Write = { change, start, end: Number.POSITIVE_INFINITY, outcome: "unknown" };
    this.#writes.push(write);
    this.#remember(change);
    return write;
  }

  /** Begins again from a state that was seen at rest; undefined: the user was absent. */
  rebase(states: Readonly<Record<string, string>> | undefined, at: number): void {
    const change = new Map(KEYS.map((key) => [key, states?.[key]]));
    this.#isBaseUnknown = states === undefined;
    this.#writes = [{ change, start: at, end: at, outcome: "done" }];
    this.#remember(change);
  }

  /** Whether a write was answered that began after `from` and ended before `to`. */
  changedBetween(from: number, to: number): boolean {
    return this.#writes.slice(1).some(({ outcome, start, end }) => outcome === "done" && start > from && end < to);
  }

  /** What is wrong with a state at rest, as lines for a report. */
  differences(states: Readonly<Record<string, string>>, holders: readonly Holder[]): string[] {
    return KEYS.flatMap((key) => {
      const wrong = this.#wrong(key, states[key], holders);
      return wrong ? [`${key} is ${states[key] ?? "absent"}: ${wrong}`] : [];
    });
  }

  #wrong(key: string, value: string | undefined, holders: readonly Holder[]): string | undefined {
    const latest = this.#latest(key);
    if (latest.length === 0 || (this.#isBaseUnknown && latest.includes(this.#writes[0]!))) return undefined;
    const values = latest.map(({ change }) => change.get(key));
    if (values.includes(value)) return undefined;
    const wanted = `may be ${values.map((one) => one ?? "absent").join(" or ")}`;
    const reliable = holders.filter(({ isReliable }) => isReliable);
    if (value === undefined) {
      const keeper = reliable.some((holder) => mustKeep(holder, key, latest));
      return keeper ? `${wanted}, and an open subscription held it` : undefined;
    }
    const firstFault = Math.min(...holders.map(({ fault }) => fault?.at ?? Number.POSITIVE_INFINITY));
    const mayHaveBeenLost = !reliable.some(({ fault, liveSince = Infinity }) => !fault && liveSince < firstFault);
    const returnedAt = Math.max(0, ...holders.map((holder) => holder.returnedAt));
    // A state that was lost is filled in where keys are missing.
    const mayBeFilled =
      mayHaveBeenLost && (values.includes(undefined) || latest.some(({ start }) => start < returnedAt));
    const isCarried = holders.some(({ carried }) =>
      carried === "any" ? this.#everSet.get(key)!.has(value) : carried.get(key)?.has(value),
    );
    if (mayBeFilled && isCarried) return undefined;
    return `${wanted}${isCarried ? "; an older value was set again over it" : "; no device can have set it again"}`;
  }

  /** The writes that may have been the last to change a key. */
  #latest(key: string): Write[] {
    const touching = this.#writes.filter(({ change, outcome }) => change.has(key) && outcome !== "refused");
    return touching.filter(({ end }) => !touching.some((other) => other.outcome === "done" && other.start > end));
  }

  #remember(change: Change): void {
    for (const [key, value] of change) if (value !== undefined) this.#everSet.get(key)?.add(value);
  }
}

function mustKeep({ liveSince, fault }: Holder, key: string, latest: readonly Write[]): boolean {
  if (liveSince === undefined) return false;
  return latest.every(({ start, end, outcome }) => {
    if (outcome !== "done" || start < liveSince) return false;
    return fault === undefined || (end < fault.at && fault.states[key] !== undefined);
  });
}
