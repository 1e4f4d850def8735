import type { Delta } from "../model/delta.js";
import type { Clock, Timer } from "../time/clock.js";
import { PendingInterval } from "./pending_interval.js";

/** A channel in interval mode: what waits to be told, and when it is time to tell it (S18). */
export class IntervalMode {
  /** In order. Mostly one; several where more waits than fits into one INTERVAL. */
  #pending: PendingInterval[] = [];
  #timer: Timer | undefined;
  #isOver = false;

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
    /** Calls when an interval is over in which something happened, or when no more should wait. */
    private readonly onDue: () => void,
  ) {}

  /** Whether what waits should be told now. */
  get isDue(): boolean {
    return this.#isOver || this.#pending.at(-1)?.isFull === true || this.#pending.length > 1;
  }

  /** The revision of the first change that waits; `undefined`: nothing does. */
  get first(): number | undefined {
    return this.#pending[0]?.deltas[0]?.revision;
  }

  /** Adds the channel's next change. The first one begins the interval: where nothing happens no time is kept. */
  add(delta: Delta): void {
    let last = this.#pending.at(-1);
    if (!last || last.isFull) {
      last = new PendingInterval();
      this.#pending.push(last);
    }
    last.add(delta);
    if (last.isFull) this.onDue();
    this.#timer ??= this.clock.setTimer(this.intervalMs, () => {
      this.#isOver = true;
      this.onDue();
    });
  }

  /** Takes out what waits, in order; the next change begins the next interval. */
  take(): readonly PendingInterval[] {
    const taken = this.#pending;
    this.#pending = [];
    this.close();
    return taken;
  }

  /** Keeps no time any more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isOver = false;
  }
}
