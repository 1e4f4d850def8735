/**
 * Lets in so many a turn of the event loop, in the order of coming. Setting up a connection takes a tenth of a
 * millisecond, and the system hands over hundreds at once: everybody else would wait for all of them.
 */
export class Turnstile<T> {
  #waiting: T[] = [];
  /** How many of those who waited have been let in. */
  #passed = 0;
  #isTurning = false;

  /** `schedule` runs its argument in a later turn, after what came in before. */
  constructor(
    private readonly perTurn: number,
    private readonly letIn: (one: T) => void,
    private readonly schedule: (turn: () => void) => void = setImmediate,
  ) {}

  /** Lets it in when its turn comes; in this very call where nobody is before it. */
  add(one: T): void {
    if (!this.#isTurning) {
      this.#isTurning = true;
      this.schedule(this.#turn);
      this.letIn(one);
    } else {
      this.#waiting.push(one);
    }
  }

  /** Lets nobody in who still waits, and says who they are. */
  clear(): readonly T[] {
    const waiting = this.#waiting.slice(this.#passed);
    this.#waiting = [];
    this.#passed = 0;
    return waiting;
  }

  readonly #turn = (): void => {
    const now = this.#waiting.slice(this.#passed, this.#passed + this.perTurn);
    this.#passed += now.length;
    if (this.#passed === this.#waiting.length) this.clear();
    this.#isTurning = now.length > 0;
    if (this.#isTurning) this.schedule(this.#turn);
    for (const one of now) this.letIn(one);
  };
}
