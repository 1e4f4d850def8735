import type { UserState } from "./user_state.js";

interface DeltaBase {
  readonly userId: string;
  /** The channel's revision after this delta. */
  readonly revision: number;
  /** When, ms since 1970. */
  readonly time: number;
  /** How many users are present after this delta. */
  readonly occupancy: number;
}

/** A user became present; `state` is its state at that moment: empty, with the time of joining. */
export interface JoinDelta extends DeltaBase {
  readonly kind: "join";
  readonly state: UserState;
}

/** A user is no longer present: it left by its own will, or was lost for too long. */
export interface DepartureDelta extends DeltaBase {
  readonly kind: "leave" | "timeout";
}

/** A user's state changed; `state` is the whole of it. */
export interface StateDelta extends DeltaBase {
  readonly kind: "state";
  readonly state: UserState;
  /** Keys that were added or got another value, sorted. */
  readonly changedKeys: readonly string[];
  /** Keys that are gone, sorted. */
  readonly removedKeys: readonly string[];
}

/** One change to a channel, as it stands in the channel's log. */
export type Delta = JoinDelta | DepartureDelta | StateDelta;

/** How many users were present before this delta. */
export function occupancyBefore({ kind, occupancy }: Delta): number {
  switch (kind) {
    case "join":
      return occupancy - 1;
    case "state":
      return occupancy;
    default:
      return occupancy + 1;
  }
}

/** About what a change holds on to, in bytes: 100 for itself, and its strings. */
export function deltaBytes(delta: Delta): number {
  let bytes = 100 + delta.userId.length;
  if (delta.kind === "state") {
    const { states } = delta.state;
    for (const key of Object.keys(states)) bytes += 2 * key.length + states[key]!.length;
  }
  return bytes;
}
