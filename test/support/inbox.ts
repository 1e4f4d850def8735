import { type Deferred, deferred, PATIENCE_MS, within } from "./deferred.js";

interface Waiter<T> {
  readonly matches: (item: T) => boolean;
  readonly arrival: Deferred<T>;
}

/**
 * What has arrived and nobody has looked at yet. A callback pushes, a test waits for the next item, or for one of a
 * kind, without sleeping; what arrives before the test asks is kept.
 */
export class Inbox<T> {
  readonly #items: T[] = [];
  #waiter: Waiter<T> | undefined;
  #end: { reason: Error } | undefined;

  /** How many items wait to be taken. */
  get size(): number {
    return this.#items.length;
  }

  /** Whether `end` was called. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Something arrived. */
  push(item: T): void {
    this.#items.push(item);
    this.#serve();
  }

  /** Nothing more will arrive: who waits, or will wait for more than is there, gets `reason` (default: "it ended"). */
  end(reason: Error = new Error("it ended")): void {
    this.#end ??= { reason };
    this.#serve();
  }

  /** Takes the next item, waiting for it. Rejects at the end, or when nothing comes within PATIENCE_MS. */
  next(): Promise<T> {
    return this.until(() => true, "the next item");
  }

  /** Takes that many items, waiting for them. */
  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /**
   * Takes items until one matches, and returns that one; those before it are gone. `what` names it in the error when
   * the end, or nothing within PATIENCE_MS, comes instead. One wait at a time.
   */
  until(matches: (item: T) => boolean, what = "a matching item"): Promise<T> {
    if (this.#waiter) throw new Error("somebody waits already");
    const arrival = deferred<T>();
    const waiter = { matches, arrival };
    this.#waiter = waiter;
    this.#serve();
    return within(what, arrival.promise, PATIENCE_MS).finally(() => {
      // Another wait may have begun since this one was served.
      if (this.#waiter === waiter) this.#waiter = undefined;
    });
  }

  /** Takes everything that is there. */
  drain(): T[] {
    return this.#items.splice(0);
  }

  #serve(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    while (this.#items.length > 0) {
      const item = this.#items.shift()!;
      if (!waiter.matches(item)) continue;
      this.#waiter = undefined;
      waiter.arrival.resolve(item);
      return;
    }
    if (this.#end) waiter.arrival.reject(this.#end.reason);
  }
}
