/** A point in a channel's history. */
export interface Position {
  /** Names one life of the history. */
  readonly epoch: string;
  /**
   * Grows by exactly 1 with every change to the channel, from where its epoch began, which is above all revisions of
   * earlier epochs. Whole, below 2^52; 0 only in a channel that has no epoch.
   */
  readonly revision: number;
}
