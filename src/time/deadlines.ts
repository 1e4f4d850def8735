import type { Clock, Timer } from "./clock.js";

/** How many deadlines are handled before other work gets its turn. */
const BATCH = 100;

/** Slots of cancelled deadlines that may stay in the heap, beside as many as there are deadlines. */
const SPARE_SLOTS = 32;

/**
 * The scheduling fact about one key. A heap slot is only ever moved earlier; a deadline that was put off is found out
 * when its slot comes up, which makes renewing a lease a single assignment.
 */
interface Entry<K> {
  readonly key: K;
  /** When it is really due. `Infinity`: cancelled. */
  dueAt: number;
  /** The tick of the one heap slot that still counts for this entry. */
  slotAt: number;
}

interface Slot<K> {
  readonly at: number;
  readonly entry: Entry<K>;
}

/**
 * Deadlines of any number of keys, in one heap with one timer.
 *
 * `onDue` is called once for each key whose deadline has passed; the deadline counts no more during the call, so the
 * callee may set the next one.
 */
export class Deadlines<K> {
  readonly #entries = new Map<K, Entry<K>>();
  readonly #heap: Slot<K>[] = [];
  #timer: { readonly at: number; readonly handle: Timer } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onDue: (key: K) => void,
  ) {}

  /** How many keys have a deadline. */
  get size(): number {
    return this.#entries.size;
  }

  /** Sets or moves the deadline of `key` to `tick` of the clock; `undefined` cancels it. */
  set(key: K, tick: number | undefined): void {
    const entry = this.#entries.get(key);
    if (tick === undefined) {
      if (entry) {
        entry.dueAt = Number.POSITIVE_INFINITY;
        this.#entries.delete(key);
      }
      return;
    }
    if (entry) {
      entry.dueAt = tick;
      if (tick >= entry.slotAt) return;
      entry.slotAt = tick;
      this.#push({ at: tick, entry });
    } else {
      const created = { key, dueAt: tick, slotAt: tick };
      this.#entries.set(key, created);
      this.#push({ at: tick, entry: created });
    }
    if (this.#heap.length > 2 * this.#entries.size + SPARE_SLOTS) this.#rebuild();
    this.#arm();
  }

  /** Cancels every deadline. */
  clear(): void {
    this.#entries.clear();
    this.#heap.length = 0;
    this.#timer?.handle.cancel();
    this.#timer = undefined;
  }

  #arm(delayAtLeast = 0): void {
    const next = this.#heap[0];
    if (!next) return;
    if (this.#timer) {
      if (this.#timer.at <= next.at) return;
      this.#timer.handle.cancel();
    }
    const delay = Math.max(next.at - this.clock.now().tick, delayAtLeast);
    this.#timer = { at: next.at, handle: this.clock.setTimer(delay, () => this.#fire()) };
  }

  #fire(): void {
    this.#timer = undefined;
    const now = this.clock.now().tick;
    let handled = 0;
    for (let top = this.#heap[0]; top && top.at <= now && handled < BATCH; top = this.#heap[0]) {
      this.#pop();
      const { entry } = top;
      if (top.at !== entry.slotAt || entry.dueAt === Number.POSITIVE_INFINITY) continue;
      if (entry.dueAt > now) {
        entry.slotAt = entry.dueAt;
        this.#push({ at: entry.dueAt, entry });
        continue;
      }
      entry.dueAt = Number.POSITIVE_INFINITY;
      entry.slotAt = Number.POSITIVE_INFINITY;
      handled++;
      this.onDue(entry.key);
      // Kept until here, because whoever is called often sets the next one at once.
      if (entry.dueAt === Number.POSITIVE_INFINITY && this.#entries.get(entry.key) === entry) {
        this.#entries.delete(entry.key);
      }
    }
    this.#arm();
  }

  /** Drops the slots that count no more, which would otherwise stay until their time comes. */
  #rebuild(): void {
    this.#heap.length = 0;
    for (const entry of this.#entries.values()) {
      if (entry.dueAt === Number.POSITIVE_INFINITY) continue;
      entry.slotAt = entry.dueAt;
      this.#push({ at: entry.slotAt, entry });
    }
  }

  #push(slot: Slot<K>): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(slot);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]!.at <= slot.at) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = slot;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}
