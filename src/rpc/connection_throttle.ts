import { RateLimiter } from "../service/rate_limiter.js";
import type { Clock, Timer } from "../time/clock.js";

/** How often an address may waste a connection. */
export interface ConnectionThrottleOptions {
  readonly clock: Clock;
  /** Connections that an address may waste in a second: more than 0. After each its next ones wait for that part of a second. */
  readonly perSecond: number;
}

/** So many may wait at a time, of all addresses together. */
const MOST_WAITING = 1000;

interface Queue<T> {
  readonly waiting: T[];
  timer: Timer | undefined;
}

/**
 * Lets the connections of an address in as they come, until it wastes one; then the next wait for a moment. Whoever is cut
 * for what it sends may connect anew at once, and each time costs the others as much as the last.
 *
 * Those who wait are let in one by one as the address may waste another, and at once whenever one of its connections turns
 * out to be of use: who is honest, and comes from the same address, is held up by the others of its queue and no more.
 */
export class ConnectionThrottle<T> {
  readonly #wasted: RateLimiter;
  /** By address; none is empty. */
  readonly #queues = new Map<string, Queue<T>>();
  readonly #msPerConnection: number;
  #waiting = 0;

  /** `letIn` gives false for one that is gone already: it is no connection, and the next comes instead. */
  constructor(
    private readonly options: ConnectionThrottleOptions,
    private readonly letIn: (one: T) => boolean,
  ) {
    const { clock, perSecond } = options;
    this.#wasted = new RateLimiter({ clock, perSecond, burst: 1 });
    this.#msPerConnection = 1000 / perSecond;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets it in, now or when its turn comes; false: neither, for too many wait already. */
  come(address: string, one: T): boolean {
    const queue = this.#queues.get(address);
    const waitMs = this.#wasted.wait(address);
    if (!queue && waitMs === 0) {
      this.letIn(one);
      return true;
    }
    if (this.#waiting === MOST_WAITING) return false;
    this.#waiting++;
    if (queue) queue.waiting.push(one);
    else this.#queues.set(address, { waiting: [one], timer: this.#turnIn(waitMs, address) });
    return true;
  }

  /** A connection of this address was of no use, and is gone. */
  wasted(address: string): void {
    this.#wasted.take(address);
  }

  /** A connection of this address turned out to be of use. */
  proved(address: string): void {
    const queue = this.#queues.get(address);
    if (queue) this.#next(address, queue);
  }

  /** Lets nobody in who still waits, says who they are, and forgets everything. */
  clear(): readonly T[] {
    const waiting = [...this.#queues.values()].flatMap((queue) => queue.waiting);
    for (const { timer } of this.#queues.values()) timer?.cancel();
    this.#queues.clear();
    this.#wasted.close();
    this.#waiting = 0;
    return waiting;
  }

  #turnIn(delayMs: number, address: string): Timer {
    return this.options.clock.setTimer(delayMs, () => this.#turn(address));
  }

  #turn(address: string): void {
    const queue = this.#queues.get(address);
    if (!queue) return;
    // Whether the last one was wasted may not be known yet: so the next waits as if it were.
    queue.timer = this.#turnIn(Math.max(this.#msPerConnection, this.#wasted.wait(address)), address);
    this.#next(address, queue);
  }

  #next(address: string, { waiting, timer }: Queue<T>): void {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      this.#waiting--;
      if (this.letIn(one)) break;
    }
    if (waiting.length > 0) return;
    timer?.cancel();
    this.#queues.delete(address);
  }
}
