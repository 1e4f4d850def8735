/** A point in a channel's history. */
export interface Position {
  /** Names one life of the history; revisions of two epochs cannot be compared. */
  readonly epoch: string;
  /** Grows by exactly 1 with every change to the channel. 0 before the first; whole, below 2^53. */
  readonly revision: number;
}
