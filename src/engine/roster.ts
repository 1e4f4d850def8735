/** Gaps that may stay, beside as many as there are users. */
const SPARE_GAPS = 32;

/**
 * Who is present in one channel, in the order of joining, so that a page can begin anywhere: it is found by its join
 * revision in O(log n), where a Map would have to be walked from its first entry.
 */
export class Roster<User extends object> {
  /** Join revisions, ascending; who left leaves a gap in `#users`, until the gaps are more than the users. */
  #revisions: number[] = [];
  #users: (User | undefined)[] = [];
  #gaps = 0;

  /** How many are present. */
  get size(): number {
    return this.#users.length - this.#gaps;
  }

  /** Adds a user who joined after everybody who was ever added. */
  add(user: User, joinRevision: number): void {
    this.#revisions.push(joinRevision);
    this.#users.push(user);
  }

  /** Takes out the user who joined with that revision; does nothing if nobody present did. */
  remove(joinRevision: number): void {
    const index = this.#firstAfter(joinRevision - 1);
    if (this.#revisions[index] !== joinRevision || this.#users[index] === undefined) return;
    this.#users[index] = undefined;
    this.#gaps += 1;
    if (this.#gaps > this.size + SPARE_GAPS) this.#close();
  }

  /** The users who joined after that join revision (0: all), in the order of joining. */
  *after(joinRevision: number): Generator<User> {
    for (let index = this.#firstAfter(joinRevision); index < this.#users.length; index++) {
      const user = this.#users[index];
      if (user !== undefined) yield user;
    }
  }

  /** What `make` makes of everybody, in the order of joining. */
  map<Made>(make: (user: User) => Made): Made[] {
    const made: Made[] = [];
    for (const user of this.#users) if (user !== undefined) made.push(make(user));
    return made;
  }

  #firstAfter(joinRevision: number): number {
    let low = 0;
    let high = this.#revisions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#revisions[middle]! > joinRevision) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #close(): void {
    this.#revisions = this.#revisions.filter((_, index) => this.#users[index] !== undefined);
    this.#users = this.#users.filter((user) => user !== undefined);
    this.#gaps = 0;
  }
}
