/** A moment at which a user's last session ended without a leave: its process died, or its network went for good. */
export interface Ending {
  readonly userId: string;
  /** In ms, by the clock of whoever watches. */
  readonly at: number;
}

/** A time in which a user's connection was away, and after which it came back. */
export interface Absence {
  readonly userId: string;
  readonly from: number;
  readonly to: number;
}

/** A join, leave or timeout as the others heard it. */
export interface Move {
  readonly kind: "join" | "leave" | "timeout";
  readonly userId: string;
  /** In ms, by the same clock. */
  readonly at: number;
}
