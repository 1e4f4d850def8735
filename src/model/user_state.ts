/**
 * The pairs of a state. Own keys alone count, and any name may be one, `__proto__` and `toString` too: look with
 * `Object.hasOwn`, copy by spreading.
 */
export type States = Readonly<Record<string, string>>;

/** What one present user carries in one channel. Frozen in spirit: a change makes a new one. */
export interface UserState {
  readonly userId: string;
  readonly states: States;
  /**
   * Of a present user the channel's revision at the last change of this state, of a pending state a number of its own in
   * [2^52, 2^53). 0: nothing was set since the join, or nothing is pending.
   */
  readonly revision: number;
  /** When the state last changed, ms since 1970; `undefined` while nothing was ever set. */
  readonly updateTime: number | undefined;
  /** When the user became present, ms since 1970; `undefined` for a state that is pending. */
  readonly joinTime: number | undefined;
}

/** The state without pairs. */
export const NO_STATES: States = Object.freeze({});

/** How many pairs a state holds. */
export function pairCount(states: States): number {
  return Object.keys(states).length;
}

/** Whether a state has all of these pairs. */
export function holds(states: States, pairs: States): boolean {
  return matcher(pairs)(states);
}

/** A test for many states: whether each has all of these pairs. */
export function matcher(pairs: States): (states: States) => boolean {
  const wanted = Object.entries(pairs);
  return (states) => {
    for (const [key, value] of wanted) if (states[key] !== value || !Object.hasOwn(states, key)) return false;
    return true;
  };
}

/** The keys that `after` adds to `before` or gives another value, and those that it lacks; sorted. */
export function changedKeys(
  before: States,
  after: States,
): { readonly changedKeys: readonly string[]; readonly removedKeys: readonly string[] } {
  const changed = Object.keys(after).filter((key) => !Object.hasOwn(before, key) || before[key] !== after[key]);
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(after, key));
  return { changedKeys: changed.sort(), removedKeys: removed.sort() };
}

/** The state of a user who is not present: the pending one, or nothing. */
export function unseenState(
  userId: string,
  pending: { readonly states: States; readonly revision: number } | undefined,
): UserState {
  const { states, revision } = pending ?? { states: NO_STATES, revision: 0 };
  return { userId, states, revision, updateTime: undefined, joinTime: undefined };
}
