import { ChannelCredentials, type ChannelOptions as GrpcOptions } from "@grpc/grpc-js";
import {
  abortSignal,
  type Check,
  type Checks,
  callback,
  fields,
  flag,
  headerValue,
  instanceOf,
  listOf,
  milliseconds,
  oneOf,
  optional,
  options,
  pairs,
  plainObject,
  refuse,
  revision,
  text,
  wholeNumber,
} from "./arguments.js";
import type { JoinEntry, SetStateEntry } from "./batches.js";
import type {
  CallOptions,
  JoinOptions,
  LeaveOptions,
  OnlineFilter,
  OnlineUsersOptions,
  SetStateOptions,
  SubscribeOptions,
} from "./channel_options.js";
import type { WatchChannelsOptions } from "./feed.js";
import { withJson } from "./json.js";
import type { ChannelOptions, ChannelsOfOptions, HeartbeatOptions, PresenceClientOptions } from "./presence_client.js";
import { type ReconnectOptions, reconnectPolicy } from "./reconnect.js";
import type { ResumePoint } from "./subscription_parts.js";
import type { TokenSource } from "./token.js";
import type { ChannelId, ChannelType, Position, UserState } from "./types.js";

/** The longest delay that Node's timers take, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const channelType: Check<ChannelType> = oneOf("message", "stream");
const leaseMs = milliseconds(1000, 300_000);
const pageSize = wholeNumber(1, 1000);

/** A PresenceChannel is a ChannelId too, so other properties are allowed. */
const channelId: Check<ChannelId> = fields({ type: channelType, name: text });

/** What is neither `host`, `host:port` nor a URL of these is a gRPC target, and left to grpc-js. */
const address: Check<string> = (value, name) => {
  const target = text(value, name);
  const [isHost, host = "", port = "1"] = /^(?:https?:\/\/)?([^/]*?)(?::(\d+))?$/.exec(target) ?? [];
  if (isHost !== undefined && (/^$|\s/.test(host) || !(Number(port) >= 1 && Number(port) <= 65_535))) {
    refuse(name, 'HOST:PORT such as "127.0.0.1:50051", with a port from 1 to 65535, or a gRPC target', value);
  }
  return target;
};

/** An unknown option is left to grpc-js. It would take NaN for a time of 1 ms. */
const grpcOptions: Check<GrpcOptions> = (value, name) => {
  const given = plainObject(value, name);
  for (const [key, held] of Object.entries(given)) {
    if (Number.isNaN(held)) refuse(`${name}[${JSON.stringify(key)}]`, "a number", held);
  }
  return given as GrpcOptions;
};

const metadata: Check<Readonly<Record<string, string>>> = (value, name) => {
  const entries = pairs(value, name);
  for (const [key, held] of Object.entries(entries)) {
    if (!/^[\w.-]+$/.test(key) || /-bin$/i.test(key)) {
      refuse(`${name}: each key`, "letters, digits, _ . and -, without -bin at its end", key);
    }
    headerValue(held, `${name}[${JSON.stringify(key)}]`);
  }
  return entries;
};

const token: Check<TokenSource> = (value, name) => {
  if (typeof value === "function") return value as TokenSource;
  return typeof value === "string" ? headerValue(value, name) : refuse(name, "a string or a function", value);
};

const reconnectOptions: Check<ReconnectOptions> = options({
  minDelayMs: optional(milliseconds(1, MAX_TIMER_MS)),
  maxDelayMs: optional(milliseconds(1, MAX_TIMER_MS)),
  connectTimeoutMs: optional(milliseconds(0, Number.POSITIVE_INFINITY)),
});

const reconnect: Check<ReconnectOptions | boolean> = (value, name) => {
  if (typeof value === "boolean") return value;
  const times = reconnectOptions(value, name);
  const { minDelayMs, maxDelayMs } = reconnectPolicy(times);
  if (maxDelayMs < minDelayMs) refuse(`${name}.maxDelayMs`, `minDelayMs (${minDelayMs}) or more`, maxDelayMs);
  return times;
};

const position: Check<Position> = fields({ epoch: text, revision });
const date = instanceOf(Date, "a Date");
const member: Check<UserState> = fields({
  userId: text,
  states: pairs,
  revision,
  updateTime: optional(date),
  joinTime: optional(date),
});

/** A copy, whose members an application may have made itself, of what it stored as JSON. */
const members: Check<ReadonlyMap<string, UserState>> = (value, name) => {
  const copy = new Map<string, UserState>();
  for (const [key, held] of instanceOf<Map<unknown, unknown>>(Map, "a Map")(value, name)) {
    const userId = text(key, `${name}: each key`);
    member(held, `${name} at ${JSON.stringify(userId)}`);
    copy.set(userId, withJson({ ...(held as UserState) }));
  }
  return copy;
};

/** A Subscription is a ResumePoint too, so other properties are allowed. */
const resumePoint: Check<ResumePoint> = fields({ position: optional(position), members });

const call: Checks<CallOptions> = { signal: optional(abortSignal) };

const filter: Checks<OnlineFilter> = { ...call, userIds: optional(listOf(text)), states: optional(pairs) };

/** Checks the options of `createPresenceClient`. */
export const clientOptions: Check<PresenceClientOptions> = options({
  address,
  credentials: optional(instanceOf(ChannelCredentials, "ChannelCredentials of @grpc/grpc-js")),
  channelOptions: optional(grpcOptions),
  token: optional(token),
  metadata: optional(metadata),
  userId: optional(text),
  deviceId: optional(text),
  reconnect: optional(reconnect),
});

/** Checks the options of `channel`. */
export const channelOptions: Check<ChannelOptions> = options({ type: optional(channelType), userId: optional(text) });

/** Checks the options of a call that has no others than these. */
export const callOptions: Check<CallOptions> = options(call);

/** Checks the options of `setState`. */
export const setStateOptions: Check<SetStateOptions> = options({
  ...call,
  replace: optional(flag),
  expectedRevision: optional(revision),
});

/** Checks the options of `subscribe`. */
export const subscribeOptions: Check<SubscribeOptions> = options({
  ...call,
  withPresence: optional(flag),
  quiet: optional(flag),
  includeSelf: optional(flag),
  initialStates: optional(pairs),
  presenceTimeoutMs: optional(milliseconds(0, 300_000)),
  leaveOnCancel: optional(flag),
  sessionId: optional(text),
  deviceId: optional(text),
  resumeFrom: optional(resumePoint),
  reconnect: optional(reconnect),
  onStatus: optional(callback<NonNullable<SubscribeOptions["onStatus"]>>()),
});

/** Checks the options of `count`. */
export const onlineFilter: Check<OnlineFilter> = options(filter);

/** Checks the options of `onlineUsers`. */
export const onlineUsersOptions: Check<OnlineUsersOptions> = options({
  ...filter,
  includeStates: optional(flag),
  pageSize: optional(pageSize),
});

/** Checks the options of `join`. */
export const joinOptions: Check<JoinOptions> = options({
  ...call,
  initialStates: optional(pairs),
  ttlMs: optional(leaseMs),
  deviceId: optional(text),
});

const leaving: Check<LeaveOptions> = options({ ...call, sessionId: optional(text), all: optional(flag) });

/** Checks the options of `leave`. */
export const leaveOptions: Check<LeaveOptions> = (value, name) => {
  const given = leaving(value, name);
  if (given.sessionId === "") refuse(`${name}.sessionId`, "the id of a session", "");
  if (given.all && given.sessionId !== undefined) refuse(`${name}.all`, "true only without sessionId", true);
  return given;
};

/** Checks the options of `channelsOf`. */
export const channelsOfOptions: Check<ChannelsOfOptions> = options({ ...call, pageSize: optional(pageSize) });

/** Checks the options of `heartbeat`. */
export const heartbeatOptions: Check<HeartbeatOptions> = options({ ...call, ttlMs: optional(leaseMs) });

/** Checks the options of `watchChannels`. */
export const watchChannelsOptions: Check<WatchChannelsOptions> = options({
  ...call,
  channels: optional(listOf(channelId)),
  prefix: optional(text),
  withSnapshot: optional(flag),
  reconnect: optional(reconnect),
  onStatus: optional(callback<NonNullable<WatchChannelsOptions["onStatus"]>>()),
});

/** Checks the entries of `joinMany`. */
export const joinEntries: Check<JoinEntry[]> = listOf(
  options({
    channel: channelId,
    userId: optional(text),
    initialStates: optional(pairs),
    ttlMs: optional(leaseMs),
  }),
);

/** Checks the entries of `setStates`. */
export const setStateEntries: Check<SetStateEntry[]> = listOf(
  options({
    channel: channelId,
    userId: optional(text),
    states: pairs,
    replace: optional(flag),
    expectedRevision: optional(revision),
  }),
);
