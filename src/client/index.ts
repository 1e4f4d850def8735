export type { BatchAnswer, BatchResult, JoinEntry, SetStateEntry } from "./batches.js";
export type {
  CallOptions,
  JoinOptions,
  LeaveOptions,
  OnlineFilter,
  OnlineUsersOptions,
  SetStateOptions,
  SubscribeOptions,
} from "./channel_options.js";
export type { ConnectionOptions } from "./connection.js";
export { DEFAULT_CHANNEL_OPTIONS } from "./connection.js";
export type {
  ChannelEvent,
  FeedCompleteEvent,
  FeedEvent,
  FeedLostEvent,
  FeedResyncEvent,
  FeedSubscribedEvent,
  IntervalEvent,
  JoinEvent,
  LeaveEvent,
  OccupiedEvent,
  OutOfServiceEvent,
  PresenceEvent,
  SnapshotEvent,
  StateChangedEvent,
  SubscribedEvent,
  TimeoutEvent,
  VacatedEvent,
} from "./events.js";
export type { Feed, WatchChannelsOptions } from "./feed.js";
export type { PresenceChannel } from "./presence_channel.js";
export type {
  ChannelOptions,
  ChannelsOfOptions,
  HeartbeatOptions,
  PresenceClient,
  PresenceClientOptions,
} from "./presence_client.js";
export { createPresenceClient } from "./presence_client.js";
export type { FieldViolation, PresenceErrorDetails, PresenceErrorReason, StatusName } from "./presence_error.js";
export { PresenceError } from "./presence_error.js";
export type { ReconnectOptions } from "./reconnect.js";
export type { Closed, Connecting, Live, Reconnecting, SubscriptionStatus } from "./status.js";
export type { Subscription } from "./subscription.js";
export type { ResumePoint } from "./subscription_parts.js";
export type { TokenSource } from "./token.js";
export type { ChannelId, ChannelType, Lease, Position, StateResult, UserChannel, UserState } from "./types.js";
