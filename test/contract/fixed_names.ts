/**
 * The fixed table of the contract: names and numbers that clients in several languages are generated from. More may
 * be added to the protos; nothing of this may change.
 */

const STATES = "map<string, string>";
const DURATION = "google.protobuf.Duration";
const TIMESTAMP = "google.protobuf.Timestamp";

/** Each message's fields, as `number name: type`. */
export const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  Channel: ["1 type: ChannelType", "2 name: string"],
  Position: ["1 epoch: string", "2 revision: uint64"],
  UserState: [
    "1 user_id: string",
    `2 states: ${STATES}`,
    "3 revision: uint64",
    `4 update_time: ${TIMESTAMP}`,
    `5 join_time: ${TIMESTAMP}`,
  ],
  SetStateRequest: [
    "1 channel: Channel",
    "2 user_id: string",
    `3 states: ${STATES}`,
    "4 replace: bool",
    "5 expected_revision: optional uint64",
  ],
  SetStateResponse: ["1 state: UserState", "2 pending: bool", "3 position: Position"],
  RemoveStateResponse: ["1 state: UserState", "2 pending: bool", "3 position: Position"],
  GetStateRequest: ["1 channel: Channel", "2 user_id: string"],
  GetStateResponse: ["1 state: UserState"],
  RemoveStateRequest: ["1 channel: Channel", "2 user_id: string", "3 keys: repeated string"],
  SubscribePresenceRequest: [
    "1 channel: Channel",
    "2 user_id: string",
    "3 with_presence: optional bool",
    "4 quiet: bool",
    "5 include_self: bool",
    `6 initial_states: ${STATES}`,
    `7 presence_timeout: ${DURATION}`,
    "8 leave_on_cancel: optional bool",
    "9 session_id: string",
    "10 resume_from: Position",
    `12 heartbeat_interval: ${DURATION}`,
  ],
  SubscribePresenceResponse: ["1 events: repeated PresenceEvent"],
  PresenceEvent: [
    "1 channel: Channel",
    "2 position: Position",
    `3 time: ${TIMESTAMP}`,
    "4 user_id: string",
    "10 subscribed: Subscribed",
    "11 snapshot: Snapshot",
    "12 interval: Interval",
    "13 remote_join: RemoteJoin",
    "14 remote_leave: RemoteLeave",
    "15 remote_timeout: RemoteTimeout",
    "16 remote_state_changed: RemoteStateChanged",
    "17 out_of_service: OutOfService",
  ],
  Subscribed: [
    "1 session_id: string",
    `2 presence_timeout: ${DURATION}`,
    "3 resumed: bool",
    "4 occupancy: uint32",
    `5 heartbeat_interval: ${DURATION}`,
  ],
  Snapshot: ["1 users: repeated UserState", "2 last: bool", "3 occupancy: uint32"],
  Interval: [
    "1 joined: repeated string",
    "2 left: repeated string",
    "3 timed_out: repeated string",
    "4 changed: repeated UserState",
    "5 occupancy: uint32",
  ],
  RemoteStateChanged: ["1 state: UserState", "2 changed_keys: repeated string", "3 removed_keys: repeated string"],
  RemoteJoin: ["1 occupancy: uint32"],
  RemoteLeave: ["1 occupancy: uint32"],
  RemoteTimeout: ["1 occupancy: uint32"],
  ListOnlineUsersRequest: [
    "1 channel: Channel",
    "2 include_states: bool",
    "3 count_only: bool",
    "4 page_size: int32",
    "5 page_token: string",
  ],
  ListOnlineUsersResponse: [
    "1 users: repeated UserState",
    "2 next_page_token: string",
    "3 total_size: uint32",
    "4 position: Position",
  ],
  ListUserChannelsRequest: ["1 user_id: string", "2 page_size: int32", "3 page_token: string"],
  ListUserChannelsResponse: ["1 channels: repeated UserChannel", "2 next_page_token: string"],
  UserChannel: ["1 channel: Channel", "2 state: UserState"],
  JoinChannelRequest: ["1 channel: Channel", "2 user_id: string", `3 initial_states: ${STATES}`, `4 ttl: ${DURATION}`],
  JoinChannelResponse: ["1 session_id: string", "2 state: UserState", "3 position: Position"],
  HeartbeatRequest: ["1 session_ids: repeated string", `2 ttl: ${DURATION}`],
  HeartbeatResponse: ["1 expired_session_ids: repeated string"],
  LeaveChannelRequest: ["1 channel: Channel", "2 user_id: string", "3 session_id: string"],
  LeaveChannelResponse: [],
};

/** Fields of which a message has at most one, by number. */
export const ONEOFS: Readonly<Record<string, { readonly message: string; readonly fields: readonly number[] }>> = {
  event: { message: "PresenceEvent", fields: [10, 11, 12, 13, 14, 15, 16, 17] },
};

/** Each enum's values; undefined where the contract fixes the name alone (the reasons of S22). */
export const ENUMS: Readonly<Record<string, Readonly<Record<string, number | undefined>>>> = {
  ChannelType: { CHANNEL_TYPE_UNSPECIFIED: 0, CHANNEL_TYPE_MESSAGE: 1, CHANNEL_TYPE_STREAM: 2 },
  ErrorReason: Object.fromEntries(
    [
      "PRESENCE_USER_NOT_EXIST",
      "INVALID_ARGUMENT",
      "INVALID_STATE_KEY",
      "STATE_KEY_SIZE_OVERFLOW",
      "STATE_VALUE_SIZE_OVERFLOW",
      "INVALID_CHANNEL_NAME",
      "INVALID_USER_ID",
      "STATE_COUNT_OVERFLOW",
      "STATE_SIZE_OVERFLOW",
      "CACHED_TOO_MANY_STATES",
      "TOO_MANY_CHANNELS",
      "SESSION_NOT_FOUND",
      "STATE_REVISION_MISMATCH",
      "SAME_USER_REPLACED",
      "RATE_LIMITED",
      "NOT_AUTHENTICATED",
      "NOT_ALLOWED",
      "PRESENCE_OUT_OF_SERVICE",
      "SERVER_DRAINING",
    ].map((reason) => [`ERROR_REASON_${reason}`, undefined]),
  ),
};

/** The calls of PresenceService, their shape, and whether they only read. */
export const METHODS: readonly { name: string; kind: "unary" | "server_streaming"; reads: boolean }[] = [
  { name: "SetState", kind: "unary", reads: false },
  { name: "GetState", kind: "unary", reads: true },
  { name: "RemoveState", kind: "unary", reads: false },
  { name: "SubscribePresence", kind: "server_streaming", reads: false },
  { name: "ListOnlineUsers", kind: "unary", reads: true },
  { name: "ListUserChannels", kind: "unary", reads: true },
  { name: "JoinChannel", kind: "unary", reads: false },
  { name: "Heartbeat", kind: "unary", reads: false },
  { name: "LeaveChannel", kind: "unary", reads: false },
];
