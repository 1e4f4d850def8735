import { type Delta, deltaBytes } from "../model/delta.js";
import type { UserState } from "../model/user_state.js";
import { Backlog } from "./backlog.js";
import type { IntervalChanges } from "./ports.js";

/** An INTERVAL goes out early beyond this, about, in bytes: clients take messages of 4 MiB unless told otherwise. */
const MAX_NET_BYTES = 1024 * 1024;

/** An INTERVAL goes out early when so many changes wait, however little they come to on balance. */
const MAX_DELTAS = 20_000;

/** What changed on balance, as INTERVAL has it (S18). A user who went and came back is in two lists or three. */
export interface NetChanges extends Omit<IntervalChanges, "changed" | "time"> {
  readonly changed: readonly UserState[];
}

/** The changes of an interval that has not been told yet (S18). */
export class PendingInterval {
  readonly #deltas: Delta[] = [];
  readonly #net = new Backlog();

  /** Every change, in order: for readers who know some of them already, or who are to be told later. */
  get deltas(): readonly Delta[] {
    return this.#deltas;
  }

  /** Whether it should not wait for its end. */
  get isFull(): boolean {
    return this.#net.bytes > MAX_NET_BYTES || this.#deltas.length >= MAX_DELTAS;
  }

  /** Adds the channel's next change. */
  add(delta: Delta): void {
    this.#deltas.push(delta);
    this.#net.add(delta, deltaBytes(delta));
  }

  /** What changed on balance for whoever knows everything up to `revision`; `undefined`: nothing did. */
  netAfter(revision: number): NetChanges | undefined {
    let net = this.#net;
    if (this.#deltas.length > 0 && this.#deltas[0]!.revision <= revision) {
      net = new Backlog();
      for (const delta of this.#deltas) if (delta.revision > revision) net.add(delta, 0);
    }
    return sortOut(net.collapsed());
  }
}

function sortOut(deltas: readonly Delta[]): NetChanges | undefined {
  const last = deltas.at(-1);
  if (!last) return undefined;
  const joined: string[] = [];
  const left: string[] = [];
  const timedOut: string[] = [];
  const changed: UserState[] = [];
  for (const delta of deltas) {
    if (delta.kind === "join") joined.push(delta.userId);
    else if (delta.kind === "state") changed.push(delta.state);
    else if (delta.kind === "leave") left.push(delta.userId);
    else timedOut.push(delta.userId);
  }
  return { joined, left, timedOut, changed, revision: last.revision, occupancy: last.occupancy };
}
