import type { ChannelId, Position, UserState } from "./types.js";

/** What every event says. */
interface EventBase {
  /** The channel's position after the event. */
  readonly position: Position;
  /** When it happened, by the server's clock. */
  readonly time: Date;
}

/** The stream has begun: always the first event of an iteration. States the terms in force. */
export interface SubscribedEvent extends EventBase {
  readonly kind: "subscribed";
  /** Names this participation; subscribing with it again within the presence timeout takes it up where it was lost (S4). */
  readonly sessionId: string;
  /** How long a lost session stays present, in milliseconds: 0 to 300 000. */
  readonly presenceTimeoutMs: number;
  /** Whether the session that was asked for was taken up. */
  readonly resumed: boolean;
  /** How many users are present, oneself among them unless quiet. */
  readonly occupancy: number;
}

/** Everybody who is present, oneself included. Replaces all that was known; may come at any time (S15). */
export interface SnapshotEvent extends EventBase {
  readonly kind: "snapshot";
  /** Every present user, by id. A copy: later events do not change it. */
  readonly members: ReadonlyMap<string, UserState>;
  /** How many users are present. */
  readonly occupancy: number;
}

/** A user became present. Its state, if it has one, follows in an event of its own. */
export interface JoinEvent extends EventBase {
  readonly kind: "join";
  /** Who joined. */
  readonly userId: string;
  /** How many users are present, this one included. */
  readonly occupancy: number;
}

/** A user left by its own will; its state is gone (S2). */
export interface LeaveEvent extends EventBase {
  readonly kind: "leave";
  /** Who left. */
  readonly userId: string;
  /** How many users are still present. */
  readonly occupancy: number;
}

/** A user was lost and did not come back in time; its state is gone (S3). */
export interface TimeoutEvent extends EventBase {
  readonly kind: "timeout";
  /** Who was lost. */
  readonly userId: string;
  /** How many users are still present. */
  readonly occupancy: number;
}

/** A user's state changed (S11). */
export interface StateChangedEvent extends EventBase {
  readonly kind: "state_changed";
  /** Whose state. */
  readonly userId: string;
  /** The whole state after the change. */
  readonly state: UserState;
  /** Keys that were added or given a value, sorted. */
  readonly changedKeys: readonly string[];
  /** Keys that are no longer there, sorted. */
  readonly removedKeys: readonly string[];
}

/** The net changes of an interval, in a large channel, instead of single events (S18). */
export interface IntervalEvent extends EventBase {
  readonly kind: "interval";
  /** Users who are present now and were not before. */
  readonly joined: readonly string[];
  /** Users who left. */
  readonly left: readonly string[];
  /** Users who were lost and did not come back in time. */
  readonly timedOut: readonly string[];
  /** The whole state of each user whose state changed. */
  readonly changed: readonly UserState[];
  /** How many users are present. */
  readonly occupancy: number;
}

/** The server lost its view of the channel: `members` may be out of date until the snapshot that follows. */
export interface OutOfServiceEvent extends EventBase {
  readonly kind: "out_of_service";
  /** What is wrong, for a log. */
  readonly description: string;
}

/** One thing that happened in a channel. */
export type PresenceEvent =
  | SubscribedEvent
  | SnapshotEvent
  | JoinEvent
  | LeaveEvent
  | TimeoutEvent
  | StateChangedEvent
  | IntervalEvent
  | OutOfServiceEvent;

/** A channel that nobody was in has its first user, whose join follows. Feeds alone tell it. */
export interface OccupiedEvent extends EventBase {
  readonly kind: "occupied";
}

/** A channel's last user is gone; its departure came before. Feeds alone tell it. */
export interface VacatedEvent extends EventBase {
  readonly kind: "vacated";
}

/** The feed has begun: the first event of an iteration, once. Everything that happens from now on follows. */
export interface FeedSubscribedEvent {
  readonly kind: "subscribed";
  /** It is about the feed, and no channel. */
  readonly channel: undefined;
  /** When, by the server's clock. */
  readonly time: Date;
}

/**
 * The feed's stream was lost and is open again: the first event of the new stream. Events were missed. Forget all
 * channels. With snapshots: a snapshot of each occupied channel follows, then `complete`. Without: ask `onlineUsers`
 * where it matters. Everything that happens from now on follows.
 */
export interface FeedResyncEvent {
  readonly kind: "resync";
  /** It is about the feed, and no channel. */
  readonly channel: undefined;
  /** When the new stream began, by the server's clock. */
  readonly time: Date;
}

/**
 * Each occupied channel was sent by a snapshot, or by events since: any other is vacant. Comes after the snapshots
 * of a feed that asked for them, and again after `resync` and `out_of_service`.
 */
export interface FeedCompleteEvent {
  readonly kind: "complete";
  /** It is about the feed, and no channel. */
  readonly channel: undefined;
  /** When, by the server's clock. */
  readonly time: Date;
}

/**
 * The server dropped events, because the feed was not read fast enough. Forget all channels. With snapshots: a snapshot
 * of each occupied channel follows, then `complete`. Without: ask `onlineUsers` where it matters.
 */
export interface FeedLostEvent {
  readonly kind: "out_of_service";
  /** It is about the feed, and no channel. */
  readonly channel: undefined;
  /** When, by the server's clock. */
  readonly time: Date;
  /** What is wrong, for a log. */
  readonly description: string;
}

/** One thing that happened in a channel, as a feed tells it: with the channel. */
export type ChannelEvent = (Exclude<PresenceEvent, SubscribedEvent> | OccupiedEvent | VacatedEvent) & {
  /** Where it happened. */
  readonly channel: ChannelId;
};

/** One event of a feed: of a channel, or of the feed itself, which has no `channel`. */
export type FeedEvent = ChannelEvent | FeedSubscribedEvent | FeedResyncEvent | FeedCompleteEvent | FeedLostEvent;
