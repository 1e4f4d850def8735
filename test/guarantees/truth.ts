import { type ChangeKind, type History, isChange, type Position, type States } from "./history.js";

/** One committed change of the channel. */
export interface Change {
  readonly position: Position;
  readonly kind: ChangeKind;
  readonly userId: string;
  /** The user's whole state after a `state` change; ignored for the other kinds. */
  readonly states: States;
}

/** What the test knows of what really happened, to hold the readers against. All of it is optional. */
export interface Truth {
  /**
   * Every committed change, epoch by epoch, each epoch from its first change on. Default: unknown; then gap-free is judged
   * by what the readers heard together, and convergent by `final` alone.
   */
  readonly changes?: readonly Change[];
  /**
   * The server's state once all is quiet and every open reader has read all that it was sent. Default: not
   * quiet yet, and nothing is said about what open readers still miss.
   */
  readonly final?: {
    readonly users: ReadonlyMap<string, States>;
    /** The channel's last position. Default: unknown. With it, a missing last event is seen as well. */
    readonly position?: Position;
  };
}

/** What the server holds of a present user. */
export interface Member {
  readonly states: States;
  /** Revision of the state's last change; 0 while nothing was ever set. */
  readonly revision: bigint;
}

/** The present users at one position. */
export type Members = ReadonlyMap<string, Member>;

/** One life of a channel. */
interface Life {
  /** The revision before the first change. */
  readonly start: bigint;
  readonly changes: Change[];
}

/** A walk along the committed changes of a channel that always knows who is present, and with what. */
export class TruthWalk {
  readonly #epochs = new Map<string, Life>();
  #position: Position | undefined;
  #members = new Map<string, Member>();

  /** Expects what `committed` checks: the revisions of each epoch grow by 1. */
  constructor(changes: readonly Change[]) {
    for (const change of changes) this.#life(change.position.epoch, change.position.revision - 1n).changes.push(change);
  }

  /** The present users where the walk stands. */
  get members(): Members {
    return this.#members;
  }

  /**
   * Whether the channel ever was at this position. An epoch without changes has one position: the first that is asked
   * for.
   */
  knows({ epoch, revision }: Position): boolean {
    const { start, changes } = this.#life(epoch, revision);
    return revision >= start && revision <= start + BigInt(changes.length);
  }

  /** The change that led to this position; undefined when there is none. */
  changeAt(position: Position): Change | undefined {
    const life = this.#epochs.get(position.epoch);
    return life?.changes[Number(position.revision - life.start) - 1];
  }

  /** The changes after revision `after` up to and including revision `upTo`, oldest first. */
  between(epoch: string, after: bigint, upTo: bigint): readonly Change[] {
    const life = this.#epochs.get(epoch);
    if (!life) return [];
    const index = (revision: bigint) => Math.max(0, Number(revision - life.start));
    return life.changes.slice(index(after), index(upTo));
  }

  /**
   * Goes to a position, forward from where it stands or, when that is impossible, from the epoch's beginning.
   * Returns the users touched on the way (all of them after a new beginning). Only for positions that it `knows`.
   */
  moveTo(position: Position): Set<string> {
    const touched = new Set<string>();
    const here = this.#position;
    let from = here?.revision ?? 0n;
    if (here === undefined || here.epoch !== position.epoch || position.revision < here.revision) {
      for (const userId of this.#members.keys()) touched.add(userId);
      this.#members = new Map();
      from = 0n;
    }
    for (const change of this.between(position.epoch, from, position.revision)) {
      this.#apply(change);
      touched.add(change.userId);
    }
    this.#position = position;
    return touched;
  }

  #life(epoch: string, start: bigint): Life {
    const life = this.#epochs.get(epoch) ?? { start, changes: [] };
    this.#epochs.set(epoch, life);
    return life;
  }

  #apply(change: Change): void {
    if (change.kind === "join") {
      this.#members.set(change.userId, { states: {}, revision: 0n });
    } else if (change.kind === "state") {
      this.#members.set(change.userId, { states: change.states, revision: change.position.revision });
    } else {
      this.#members.delete(change.userId);
    }
  }
}

/**
 * The changes that one reader heard. For a quiet reader with `includeSelf` that subscribed before anything
 * happened and kept up, these are all changes there were: the truth for everybody else.
 */
export function changesHeardBy(monitor: History): Change[] {
  return monitor.items.filter(isChange).map((item) => ({
    position: item.position,
    kind: item.kind,
    userId: item.userId,
    states: item.kind === "state" ? item.states : {},
  }));
}

/** Whether two states hold the same pairs. */
export function sameStates(a: States, b: States): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
