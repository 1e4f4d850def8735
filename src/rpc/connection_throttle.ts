import type { Clock, Timer } from "../time/clock.js";

/** How connections are let in. */
export interface ConnectionThrottleOptions {
  readonly clock: Clock;
  /** How long an address that has wasted a connection waits for its next, in ms. More than 0. */
  readonly delayMs: number;
}

/** Whoever wastes one connection after the other waits twice as long each time, up to so many times the delay. */
const MOST_DELAYS = 16;
/** So many connections of one address may be open over which no call was served; beyond that one comes every few ms. */
const MOST_UNPROVEN = 256;
const UNPROVEN_MS = 10;
/** So many may wait at a time, of all addresses together. */
const MOST_WAITING = 10_000;

/** What is known of an address that has connections of no use, or had some of late. */
interface Client<T> {
  readonly waiting: T[];
  /** Connections that are open, and over which no call was served. */
  unproven: number;
  /** How long it was last told to wait. */
  delayMs: number;
  /** Nobody is let in before this tick, for one was wasted. */
  heldUntil: number;
  /** Nor before this one, for another was let in out of turn a moment ago, and whether it is wasted is not known yet. */
  nextAt: number;
  /** Until this tick it is remembered that it wasted one. */
  rememberedUntil: number;
  /** For the next of those who wait or, where nobody waits, for forgetting the address. */
  timer: Timer | undefined;
}

/**
 * Lets the connections of an address in as they come, until one of them is wasted or hundreds of them do nothing; then
 * the next wait for their turn. Whoever is cut for what it sends may connect anew at once, and each time costs the others
 * as much as the last.
 *
 * Those who wait are let in one by one, and at once whenever a connection of their address turns out to be of use: who is
 * honest, and comes from the same address, is held up by the others of its queue and no more.
 */
export class ConnectionThrottle<T> {
  readonly #clients = new Map<string, Client<T>>();
  #waiting = 0;
  #isOver = false;

  /** `letIn` gives false for one that is gone already: it is no connection, and the next comes instead. */
  constructor(
    private readonly options: ConnectionThrottleOptions,
    private readonly letIn: (one: T, address: string) => boolean,
  ) {}

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Of how many addresses something is kept. */
  get size(): number {
    return this.#clients.size;
  }

  /** Lets it in, now or when its turn comes; false: neither, for too many wait already. */
  come(address: string, one: T): boolean {
    if (this.#isOver) return false;
    const client = this.#of(address);
    const now = this.#now;
    const isFull = client.unproven >= MOST_UNPROVEN;
    if (client.waiting.length === 0 && now >= dueAt(client) && !isFull) {
      if (this.letIn(one, address)) client.unproven++;
      this.#rest(address, client);
      return true;
    }
    if (this.#waiting === MOST_WAITING) return false;
    this.#waiting++;
    client.waiting.push(one);
    if (client.waiting.length === 1) {
      if (isFull) client.nextAt = Math.max(client.nextAt, now + UNPROVEN_MS);
      this.#rest(address, client);
    }
    return true;
  }

  /** A call was served over a connection of this address: to be told once of each. */
  proved(address: string): void {
    if (this.#isOver) return;
    const client = this.#of(address);
    client.unproven--;
    this.#next(address, client);
    this.#rest(address, client);
  }

  /** A connection of this address is gone. */
  left(address: string, { isProven, isWasted }: { readonly isProven: boolean; readonly isWasted: boolean }): void {
    if (this.#isOver) return;
    const client = this.#of(address);
    if (!isProven) client.unproven--;
    // Those that were under way together are one offence.
    if (isWasted && this.#now >= client.heldUntil) this.#hold(client);
    this.#rest(address, client);
  }

  /** Lets nobody in any more, says who still waits, and forgets everything. */
  close(): readonly T[] {
    this.#isOver = true;
    const clients = [...this.#clients.values()];
    for (const { timer } of clients) timer?.cancel();
    this.#clients.clear();
    this.#waiting = 0;
    return clients.flatMap(({ waiting }) => waiting);
  }

  get #now(): number {
    return this.options.clock.now().tick;
  }

  #of(address: string): Client<T> {
    let client = this.#clients.get(address);
    if (!client) {
      client = { waiting: [], unproven: 0, delayMs: 0, heldUntil: 0, nextAt: 0, rememberedUntil: 0, timer: undefined };
      this.#clients.set(address, client);
    }
    return client;
  }

  #hold(client: Client<T>): void {
    const { delayMs } = this.options;
    const now = this.#now;
    const isAtItAgain = now < client.rememberedUntil;
    client.delayMs = isAtItAgain ? Math.min(2 * client.delayMs, MOST_DELAYS * delayMs) : delayMs;
    client.heldUntil = now + client.delayMs;
    client.rememberedUntil = client.heldUntil + client.delayMs;
  }

  #next(address: string, client: Client<T>): void {
    for (let one = client.waiting.shift(); one !== undefined; one = client.waiting.shift()) {
      this.#waiting--;
      if (!this.letIn(one, address)) continue;
      client.unproven++;
      return;
    }
  }

  /** Sees to it that the next comes in time, or that the address is forgotten. */
  #rest(address: string, client: Client<T>): void {
    client.timer?.cancel();
    client.timer = undefined;
    const now = this.#now;
    if (client.waiting.length > 0) {
      const waitMs = Math.max(0, dueAt(client) - now);
      client.timer = this.options.clock.setTimer(waitMs, () => this.#turn(address, client));
    } else if (now < client.rememberedUntil) {
      client.timer = this.options.clock.setTimer(client.rememberedUntil - now, () => this.#rest(address, client));
    } else if (client.unproven === 0) {
      this.#clients.delete(address);
    }
  }

  #turn(address: string, client: Client<T>): void {
    this.#next(address, client);
    const now = this.#now;
    client.nextAt = now + (now < client.rememberedUntil ? client.delayMs : UNPROVEN_MS);
    this.#rest(address, client);
  }
}

function dueAt({ heldUntil, nextAt }: Client<unknown>): number {
  return Math.max(heldUntil, nextAt);
}
