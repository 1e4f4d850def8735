import type { Elsewhere } from "../channel/apply.js";
import type { Member } from "../channel/member.js";
import type { Outcome } from "../channel/outcome.js";
import type { ChannelId } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { Position } from "../model/position.js";
import type { States, UserState } from "../model/user_state.js";

/** What an engine returns: at once when it has it in process, otherwise later. */
export type MaybePromise<T> = T | Promise<T>;

/** What is stored of one user in one channel, as it was read; a commit says what it builds on. */
export interface MemberRecord {
  readonly member: Member;
  /** What the user has in all other channels, when the record was read. */
  readonly elsewhere: Elsewhere;
  /** Opaque to all but the engine: tells whether the member is still as it was read. */
  readonly version: unknown;
  /** Opaque: tells whether `elsewhere` still holds. */
  readonly userVersion: unknown;
}

/** A change to one user in one channel. */
export interface Commit {
  readonly channel: ChannelId;
  /** What was read before the rules were applied. */
  readonly read: MemberRecord;
  readonly outcome: Outcome;
  /** The time of the change, ms since 1970. */
  readonly wall: number;
  /** Whether the outcome holds only while `read.elsewhere` does: it was compared with a limit over all channels. */
  readonly dependsOnElsewhere: boolean;
}

/** A commit that took place. */
export interface Committed {
  readonly member: Member;
  readonly deltas: readonly Delta[];
  /** The channel's position after the commit. */
  readonly position: Position;
  readonly occupancy: number;
}

/** A channel as it is now. */
export interface ChannelSummary {
  readonly position: Position;
  readonly occupancy: number;
}

/** A channel and everybody who is present, at one position. */
export interface ChannelSnapshot extends ChannelSummary {
  /** In the order of joining. */
  readonly users: readonly UserState[];
}

/** Maximum number of users that one `page` or `count` examines, so that no call holds up the event loop. */
export const SLICE_USERS = 1000;

/** The result of examining a slice of the present users, in the order of joining. */
interface Slice extends ChannelSummary {
  /** Number of users examined, 0 to `SLICE_USERS`. */
  readonly examined: number;
  /** The join revision after which the next slice begins; `undefined`: every present user was examined. */
  readonly next: number | undefined;
}

/** The matching users of a slice. */
export interface MemberPage extends Slice {
  /** Each has a presence. */
  readonly members: readonly Member[];
}

/** The number of matching users in a slice. */
export interface MemberCount extends Slice {
  readonly count: number;
}

/** Where a session is. */
export interface SessionPlace {
  readonly channel: ChannelId;
  readonly userId: string;
}

/** A channel in which a user has a session or a state that waits, or is still present after a leave. */
export interface UserPlace {
  readonly channel: ChannelId;
  readonly member: Member;
}

/** Stops a watch. */
export type StopWatching = () => void;

/** Hears of a commit in one of all channels: which one, the epoch of its history, and what changed, in order. */
export type OnChannelDeltas = (channel: ChannelId, epoch: string, deltas: readonly Delta[]) => void;

/**
 * The engine port: a store of members with compare-and-set, and an ordered log per channel. It knows no rules.
 *
 * Every call may be asynchronous, and may fail with a PresenceError PRESENCE_OUT_OF_SERVICE. The memory engine answers
 * in the same turn of the event loop.
 */
export interface Engine {
  /** One user in one channel. A user of whom nothing is known is a stranger, not an error. */
  read(channel: ChannelId, userId: string): MaybePromise<MemberRecord>;

  /**
   * Stores the outcome if the member is still as it was read, gives its changes the channel's next revisions and a
   * pending state that was written a revision of its own, appends the changes to the log and tells the watchers.
   * Revisions never repeat, see `Position` and `UserState`. `conflict`: somebody else wrote; read and apply again.
   */
  commit(commit: Commit): MaybePromise<Committed | "conflict">;

  /** Position and occupancy, in O(1). A channel of which nothing is known is empty, without an epoch, at revision 0. */
  summary(channel: ChannelId): MaybePromise<ChannelSummary>;

  /** Everybody who is present. */
  snapshot(channel: ChannelId): MaybePromise<ChannelSnapshot>;

  /**
   * Present users who joined after the join revision `after` (0: from the first) and whose state holds all of the pairs
   * `states` (empty: any state). Examines users in the order of joining until `limit` of them match, `SLICE_USERS` were
   * examined, or none is left; so a page may be empty and still have a `next`. O(examined + log n).
   *
   * The position is that of this slice: a caller that goes on from `next` in a later turn sees later states.
   */
  page(channel: ChannelId, after: number, limit: number, states: States): MaybePromise<MemberPage>;

  /** Like `page`, but counts the matching users of a whole slice. `summary` counts all users of a channel in O(1). */
  count(channel: ChannelId, after: number, states: States): MaybePromise<MemberCount>;

  /**
   * Calls `onDeltas` with every commit's deltas from now on, in the order of the log, none left out. After a watch
   * begins, `snapshot` holds everything that it has not been called with.
   */
  watch(channel: ChannelId, onDeltas: (deltas: readonly Delta[]) => void): MaybePromise<StopWatching>;

  /**
   * Calls `onDeltas` with the deltas of every commit in every channel from now on, in the order of each channel's log,
   * none left out. After it has begun, `snapshot` holds everything that it has not been called with; what an engine
   * answers at once holds nothing that it has not been called with. Keeps no channel from being forgotten.
   */
  watchAll(onDeltas: OnChannelDeltas): MaybePromise<StopWatching>;

  /**
   * Every channel where somebody is present, in no order. Costs as much as there are channels. The answer comes behind
   * the news of all that it takes account of: whoever watches all channels has been called with them.
   */
  occupied(): MaybePromise<readonly ChannelId[]>;

  /** The deltas after `from`, oldest first, or `undefined` if the log does not reach back to it (S16 resumable). */
  replay(channel: ChannelId, from: Position): MaybePromise<readonly Delta[] | undefined>;

  /** Where a user of an app has sessions or pending states, or has just left and is still present; by channel key. */
  placesOf(app: string, userId: string): MaybePromise<readonly UserPlace[]>;

  /** Where a session is, while it is attached, detached, or a lease that lives. */
  findSession(sessionId: string): MaybePromise<SessionPlace | undefined>;

  /** What an app takes. O(1). An engine that several servers share may answer with what was true a moment ago. */
  usage(app: string): MaybePromise<AppUsage>;

  /** What each app with channels takes, by its name, for the metrics. */
  usages(): ReadonlyMap<string, AppUsage>;

  /** How much is kept, for the metrics. */
  stats(): EngineStats;

  /** Gives everything back; no call may follow. */
  close(): MaybePromise<void>;
}

/** What the channels of an app take. */
export interface AppUsage {
  /** Channels that use memory, empty ones that may still be resumed among them. */
  readonly channels: number;
  /** Users of whom anything is known, counted once per channel. */
  readonly members: number;
  /** Pending states, one for each user and channel. */
  readonly pending: number;
  /** Sessions that are streams, attached or detached. */
  readonly streams: number;
  /** Approximate memory of channels, members, states and logs. */
  readonly bytes: number;
  /** The part of `bytes` that is logs. */
  readonly logBytes: number;
}

/** How much an engine keeps. */
export interface EngineStats {
  /** Channels that use memory, empty ones that may still be resumed among them. */
  readonly channels: number;
  /** Users present, counted once per channel. */
  readonly present: number;
  readonly sessions: number;
  /** Users of whom anything is known in any channel. Who is not present and has neither sessions nor pending states uses no memory (S23). */
  readonly users: number;
}
