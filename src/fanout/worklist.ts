/** Pieces of work, one of which is done in each turn of the event loop, in the order in which they were added. */
export class Worklist {
  readonly #work: (() => void)[] = [];

  /** `schedule` runs work in a later turn of the event loop, such as `setImmediate`. */
  constructor(private readonly schedule: (work: () => void) => void) {}

  /** Does `work` in a later turn, after what was added before. */
  add(work: () => void): void {
    this.#work.push(work);
    if (this.#work.length === 1) this.schedule(() => this.#goOn());
  }

  #goOn(): void {
    this.#work[0]!();
    this.#work.shift();
    if (this.#work.length > 0) this.schedule(() => this.#goOn());
  }
}
