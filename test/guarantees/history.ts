/** A point in a channel's history, as in `presence.v1.Position`. */
export interface Position {
  /** Names one life of the channel's history. Opaque. */
  readonly epoch: string;
  /** Grows by exactly 1 with every change; an epoch begins above those before it. */
  readonly revision: bigint;
}

/** A user's whole state in one channel. */
export type States = Readonly<Record<string, string>>;

/** One present user, as a SNAPSHOT or an INTERVAL names it. */
export interface UserRecord {
  readonly userId: string;
  readonly states: States;
  /** The revision of the last change of this state; 0 while nothing was set since the join. */
  readonly revision: bigint;
}

/** The four ways in which a channel changes; each takes one revision. */
export type ChangeKind = "join" | "leave" | "timeout" | "state";

/** A stream was opened. Written by the test, not heard from the server. */
export interface BeginItem {
  readonly kind: "begin";
  /** The request's `resume_from`. Default: none, an ordinary subscription. */
  readonly resumeFrom?: Position;
  /**
   * What the test knows about the answer to `resumeFrom`: the server still remembers that position
   * (`events`) or cannot (`snapshot`). Default: either will do.
   */
  readonly expect?: "events" | "snapshot";
}

/** A stream ended, for whatever reason. Written by the test. A history without it at the end is still open. */
export interface EndItem {
  readonly kind: "end";
  /** Why, for the report. Default: empty. */
  readonly reason?: string;
}

/** What every event that came from the server has. */
interface Heard {
  readonly position: Position;
  /** Type and name of the channel, in one word that can be compared. */
  readonly channel: string;
  /** Bytes of the encoded `PresenceEvent`. */
  readonly size: number;
  /** Which message of its stream brought it, from 0. Events of one message share it. */
  readonly message: number;
}

/** SUBSCRIBED. */
export interface SubscribedItem extends Heard {
  readonly kind: "subscribed";
  readonly sessionId: string;
  readonly resumed: boolean;
  readonly occupancy: number;
}

/** One chunk of a SNAPSHOT. */
export interface SnapshotItem extends Heard {
  readonly kind: "snapshot";
  readonly users: readonly UserRecord[];
  readonly last: boolean;
  readonly occupancy: number;
}

/** INTERVAL (S18). */
export interface IntervalItem extends Heard {
  readonly kind: "interval";
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly timedOut: readonly string[];
  readonly changed: readonly UserRecord[];
  readonly occupancy: number;
}

/** REMOTE_JOIN, REMOTE_LEAVE or REMOTE_TIMEOUT. */
export interface PresenceItem extends Heard {
  readonly kind: "join" | "leave" | "timeout";
  readonly userId: string;
  readonly occupancy: number;
}

/** REMOTE_STATE_CHANGED. */
export interface StateItem extends Heard {
  readonly kind: "state";
  readonly userId: string;
  readonly states: States;
  /** The state's own revision, which the event repeats inside its `state`. */
  readonly stateRevision: bigint;
  readonly changedKeys: readonly string[];
  readonly removedKeys: readonly string[];
}

/** OUT_OF_SERVICE. */
export interface OutOfServiceItem extends Heard {
  readonly kind: "out_of_service";
  readonly description: string;
}

/** An event that stands for exactly one change of the channel. */
export type ChangeItem = PresenceItem | StateItem;

/** Anything that came from the server. */
export type HeardItem = SubscribedItem | SnapshotItem | IntervalItem | ChangeItem | OutOfServiceItem;

/** One entry of a history. */
export type Item = BeginItem | EndItem | HeardItem;

/** What one reader asked for, and all that it was told, in order of arrival. */
export interface History {
  /** Names the reader in reports. */
  readonly name: string;
  /** The user it subscribed as. */
  readonly userId: string;
  /** Asked to hear its own user's events (S6). */
  readonly includeSelf: boolean;
  /** Asked for the snapshot and events (S6). */
  readonly withPresence: boolean;
  /** Subscribed invisibly (S7). */
  readonly quiet: boolean;
  readonly items: Item[];
}

/** What a reader asks for. Defaults are those of the contract: with presence, visible, without its own events. */
export interface ReaderOptions {
  readonly userId: string;
  /** Default: the user id. */
  readonly name?: string;
  readonly includeSelf?: boolean;
  readonly withPresence?: boolean;
  readonly quiet?: boolean;
}

/** An empty history of a reader. Begin each of its streams with `recordBegin`. */
export function createHistory(options: ReaderOptions): History {
  return {
    name: options.name ?? options.userId,
    userId: options.userId,
    includeSelf: options.includeSelf ?? false,
    withPresence: options.withPresence ?? true,
    quiet: options.quiet ?? false,
    items: [],
  };
}

/** Whether the reader is one that hears this user's events (S6). */
export function hears(history: History, userId: string): boolean {
  return history.withPresence && (history.includeSelf || userId !== history.userId);
}

/** Whether the item stands for one change of the channel. */
export function isChange(item: Item): item is ChangeItem {
  return item.kind === "join" || item.kind === "leave" || item.kind === "timeout" || item.kind === "state";
}

/** Whether two positions are the same point of the same life. */
export function samePosition(a: Position | undefined, b: Position | undefined): boolean {
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.revision === b.revision;
}
