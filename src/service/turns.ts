/**
 * Divides long queries over turns of the event loop: each turn continues one of the waiting queries, in the order in
 * which they asked, so other calls wait for at most one slice of work per turn, however many queries there are.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];

  /** `schedule` runs work in a later turn of the event loop, such as `setImmediate`. */
  constructor(private readonly schedule: (work: () => void) => void) {}

  /** Resolves when it is the caller's turn to do one slice of work. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) this.schedule(() => this.#goOn());
    });
  }

  #goOn(): void {
    this.#waiting.shift()!();
    if (this.#waiting.length > 0) this.schedule(() => this.#goOn());
  }
}
