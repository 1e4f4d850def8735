export type { ConnectionOptions } from "./connection.js";
export { DEFAULT_CHANNEL_OPTIONS } from "./connection.js";
export type {
  IntervalEvent,
  JoinEvent,
  LeaveEvent,
  OutOfServiceEvent,
  PresenceEvent,
  SnapshotEvent,
  StateChangedEvent,
  SubscribedEvent,
  TimeoutEvent,
} from "./events.js";
export type {
  CallOptions,
  JoinOptions,
  LeaveOptions,
  OnlineUsersOptions,
  PresenceChannel,
  SetStateOptions,
  SubscribeOptions,
} from "./presence_channel.js";
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
export type { ResumePoint, Subscription } from "./subscription.js";
export type { TokenSource } from "./token.js";
export type { ChannelId, ChannelType, Lease, Position, StateResult, UserChannel, UserState } from "./types.js";
