import fc from "fast-check";
import type { Delta } from "../../../src/model/delta.js";
import type { States } from "../../../src/model/user_state.js";

/** A channel that only makes deltas: right ones, as an engine would. */
export class DeltaMaker {
  readonly present = new Map<string, States>();
  readonly log: Delta[] = [];

  /** @param revision where the channel's life begins */
  constructor(public revision = 0) {}

  /** The next change of a user; `undefined` where it cannot happen to that user now. */
  make(kind: Delta["kind"], userId: string, states: States = {}): Delta | undefined {
    const before = this.present.get(userId);
    if ((kind === "join") !== (before === undefined)) return undefined;
    const revision = ++this.revision;
    if (kind === "join") this.present.set(userId, {});
    else if (kind === "state") this.present.set(userId, states);
    else this.present.delete(userId);
    const delta = this.#delta(kind, { userId, revision, time: revision, occupancy: this.present.size }, before, states);
    this.log.push(delta);
    return delta;
  }

  #delta(
    kind: Delta["kind"],
    base: { userId: string; revision: number; time: number; occupancy: number },
    before: States = {},
    states: States,
  ): Delta {
    const { userId, revision } = base;
    if (kind === "join") {
      return { kind, ...base, state: { userId, states: {}, revision: 0, updateTime: undefined, joinTime: revision } };
    }
    if (kind !== "state") return { kind, ...base };
    const changedKeys = Object.keys(states)
      .filter((key) => states[key] !== before[key])
      .sort();
    const removedKeys = Object.keys(before)
      .filter((key) => !(key in states))
      .sort();
    const state = { userId, states, revision, updateTime: revision, joinTime: 0 };
    return { kind, ...base, state, changedKeys, removedKeys };
  }
}

/** Something that a user may do. */
export const doings = fc.array(
  fc.record({
    userId: fc.constantFrom("ann", "bob", "cid"),
    kind: fc.constantFrom("join" as const, "leave" as const, "timeout" as const, "state" as const, "state" as const),
    states: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"), { noNullPrototype: true }),
  }),
  { maxLength: 60, size: "max" },
);
