import type { ListenAddress } from "../rpc/connections.js";
import type { CallRateSettings } from "../service/call_rates.js";
import { CHANNEL_SETTINGS, type ChannelSettings } from "./channel_settings.js";
import { checkSecurity } from "./check_security.js";
import { parseSetting } from "./parse_setting.js";
import { type MemorySettings, QUOTA_SETTINGS } from "./quota_settings.js";
import { checkRates, RATE_SETTINGS } from "./rate_settings.js";
import { SECURITY_SETTINGS, type SecuritySettings } from "./security_settings.js";
import { KIB, MIB, MINUTE, SECOND, type Setting, SettingError } from "./setting.js";

export { parseSetting } from "./parse_setting.js";
export { environmentName, formatAddress, type Setting, SettingError } from "./setting.js";

/** All settings of a server, in the units in which it computes: milliseconds, bytes, counts. */
export interface ServerSettings extends SecuritySettings, CallRateSettings, MemorySettings {
  readonly listen: ListenAddress;
  readonly trustCallers: boolean;
  readonly metrics: ListenAddress | undefined;
  readonly reflection: "on" | "off";
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  readonly presenceTimeout: number;
  readonly leaveOnCancel: boolean;
  readonly sameUser: "multi" | "single";
  readonly keepalive: number;
  readonly keepaliveTimeout: number;
  readonly streamHeartbeat: number;
  readonly leaseTtl: number;
  readonly pendingTtl: number;
  readonly resumeTtl: number;
  readonly resumeEvents: number;
  readonly resumeBytes: number;
  readonly readerBuffer: number;
  readonly laggingTimeout: number;
  readonly announceMax: number;
  readonly interval: number;
  readonly leaveDebounce: number;
  /** By pattern: a channel's name, or `PREFIX*`. The most specific that fits counts. */
  readonly channel: Readonly<Record<string, ChannelSettings>> | undefined;
  readonly shutdownDelay: number;
  readonly drainTime: number;
  readonly maxStatePairs: number;
  readonly maxStateBytes: number;
  readonly maxPendingPairs: number;
  readonly maxChannelsPerUser: number;
  readonly maxSessionsPerUser: number;
  /** 0: any number. */
  readonly maxConnectionsPerAddress: number;
  /** Deprecated: has no effect. */
  readonly wastedConnectionDelay: number | undefined;
  /** Deprecated: has no effect. */
  readonly maxConnectionBytesPerSecond: number | undefined;
  readonly maxStreamsPerConnection: number;
  readonly requestTimeout: number;
  readonly maxUnfinishedBytes: number;
  readonly maxUnreadBytes: number;
  readonly maxRequestBytes: number;
  readonly maxBatchBytes: number;
}

/** Every setting there is. Flags, environment, help and the checks are made from this table. */
export const SETTINGS: Readonly<Record<keyof ServerSettings, Setting>> = {
  listen: {
    flag: "listen",
    kind: "address",
    default: "127.0.0.1:50051",
    help: "where to listen; port 0: any free one",
  },
  trustCallers: {
    flag: "trust-callers",
    kind: "switch",
    default: "false",
    help: "believe callers who they are, even beyond this machine",
  },
  ...SECURITY_SETTINGS,
  metrics: { flag: "metrics", kind: "address", default: undefined, help: "where to serve Prometheus metrics (off)" },
  reflection: {
    flag: "reflection",
    kind: "choice",
    choices: ["on", "off"],
    default: "on",
    help: "whether tools can read the contract from the server",
  },
  logLevel: {
    flag: "log-level",
    kind: "choice",
    choices: ["trace", "debug", "info", "warn", "error", "silent"],
    default: "info",
    help: "how much to log, as JSON lines on standard error",
  },
  presenceTimeout: {
    flag: "presence-timeout",
    kind: "duration",
    min: 0,
    max: 5 * MINUTE,
    default: "30s",
    help: "how long a lost user stays present",
  },
  leaveOnCancel: {
    flag: "leave-on-cancel",
    kind: "choice",
    choices: ["true", "false"],
    default: "true",
    help: "whether cancelling a stream is a leave; false behind a proxy that hides lost clients",
  },
  sameUser: {
    flag: "same-user",
    kind: "choice",
    choices: ["multi", "single"],
    default: "multi",
    help: "multi: sessions of a user share its presence; single: a new one ends the older",
  },
  keepalive: {
    flag: "keepalive",
    kind: "duration",
    min: 100,
    max: 60 * MINUTE,
    default: "10s",
    help: "time between pings to each client",
  },
  keepaliveTimeout: {
    flag: "keepalive-timeout",
    kind: "duration",
    min: 100,
    max: 5 * MINUTE,
    default: "5s",
    help: "how long a client may take to answer a ping",
  },
  streamHeartbeat: {
    flag: "stream-heartbeat",
    kind: "duration",
    min: 0,
    max: 5 * MINUTE,
    default: "0s",
    help: "how often an idle stream gets an empty message, 5s or more; 0: never",
  },
  leaseTtl: {
    flag: "lease-ttl",
    kind: "duration",
    min: SECOND,
    max: 5 * MINUTE,
    default: "30s",
    help: "life of a lease between heartbeats, where the request does not say",
  },
  pendingTtl: {
    flag: "pending-ttl",
    kind: "duration",
    min: SECOND,
    max: 60 * MINUTE,
    default: "300s",
    help: "how long a state waits for its user to join",
  },
  resumeTtl: {
    flag: "resume-ttl",
    kind: "duration",
    min: 0,
    max: 60 * MINUTE,
    default: "60s",
    help: "how long an empty channel's history is kept",
  },
  resumeEvents: {
    flag: "resume-events",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "1000",
    help: "changes kept per channel for readers that resume",
  },
  resumeBytes: {
    flag: "resume-bytes",
    kind: "bytes",
    min: 0,
    max: 64 * MIB,
    default: "256KiB",
    help: "size of what is kept per channel for readers that resume",
  },
  readerBuffer: {
    flag: "reader-buffer",
    kind: "bytes",
    min: 4 * KIB,
    // What waited is told in one message, and clients take 4 MiB unless told otherwise.
    max: 2 * MIB,
    default: "256KiB",
    help: "changes that may wait for a slow reader before it gets a snapshot instead",
  },
  laggingTimeout: {
    flag: "lagging-timeout",
    kind: "duration",
    min: SECOND,
    max: 60 * MINUTE,
    default: "60s",
    help: "how long a client may read nothing before its stream is ended",
  },
  ...CHANNEL_SETTINGS,
  channel: {
    flag: "channel",
    kind: "channels",
    default: undefined,
    help: 'other settings for some channels: "lobby:*=announce_max:50,interval:5s"; again for more',
  },
  shutdownDelay: {
    flag: "shutdown-delay",
    kind: "duration",
    min: 0,
    max: 10 * MINUTE,
    default: "0s",
    help: "how long to serve on, reporting NOT_SERVING, before streams end at shutdown",
  },
  drainTime: {
    flag: "drain-time",
    kind: "duration",
    min: 0,
    max: 10 * MINUTE,
    default: "10s",
    help: "how long the rest of a shutdown may take",
  },
  maxStatePairs: {
    flag: "max-state-pairs",
    kind: "count",
    min: 1,
    max: 1000,
    default: "32",
    help: "pairs in one user's state in one channel",
  },
  maxStateBytes: {
    flag: "max-state-bytes",
    kind: "bytes",
    min: 64,
    max: 128 * KIB,
    default: "16KiB",
    help: "size of one user's state in one channel",
  },
  maxPendingPairs: {
    flag: "max-pending-pairs",
    kind: "count",
    min: 0,
    max: 100_000,
    default: "100",
    help: "pairs of one user that wait for a join, over all channels",
  },
  maxChannelsPerUser: {
    flag: "max-channels-per-user",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "100",
    help: "channels where one user has an attached stream or a lease; twice as many in all",
  },
  maxSessionsPerUser: {
    flag: "max-sessions-per-user",
    kind: "count",
    min: 1,
    max: 10_000,
    default: "32",
    help: "sessions of one user in one channel",
  },
  maxConnectionsPerAddress: {
    flag: "max-connections-per-address",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "0",
    help: "connections from one IP address; 0: any number, as behind a proxy or NAT",
  },
  wastedConnectionDelay: {
    flag: "wasted-connection-delay",
    kind: "duration",
    min: 0,
    max: MINUTE,
    default: undefined,
    deprecated: true,
    help: "deprecated: has no effect",
  },
  maxConnectionBytesPerSecond: {
    flag: "max-connection-bytes-per-second",
    kind: "bytes",
    min: 0,
    max: 64 * 1024 * MIB,
    default: undefined,
    deprecated: true,
    help: "deprecated: has no effect",
  },
  maxStreamsPerConnection: {
    flag: "max-streams-per-connection",
    kind: "count",
    min: 1,
    max: 1_000_000,
    default: "2000",
    help: "calls and streams open at once on one connection; a new one begins with 100",
  },
  requestTimeout: {
    flag: "request-timeout",
    kind: "duration",
    min: 100,
    max: 10 * MINUTE,
    default: "10s",
    help: "how long a request may take to arrive, from its headers to its end",
  },
  maxUnfinishedBytes: {
    flag: "max-unfinished-bytes",
    kind: "bytes",
    min: MIB,
    max: 64 * 1024 * MIB,
    default: "64MiB",
    help: "size of all requests together that have not arrived whole",
  },
  maxUnreadBytes: {
    flag: "max-unread-bytes",
    kind: "bytes",
    min: MIB,
    max: 64 * 1024 * MIB,
    default: "64MiB",
    help: "size of all answers and ends of streams together that clients have not read",
  },
  ...RATE_SETTINGS,
  ...QUOTA_SETTINGS,
  maxRequestBytes: {
    flag: "max-request-bytes",
    kind: "bytes",
    min: KIB,
    max: 4 * MIB,
    default: "64KiB",
    help: "size of a request message",
  },
  maxBatchBytes: {
    flag: "max-batch-bytes",
    kind: "bytes",
    min: KIB,
    max: 16 * MIB,
    default: "1MiB",
    help: "size of a request of BatchJoinChannel or BatchSetState; never less than --max-request-bytes",
  },
};

/** The flags of the deprecated settings that were given, such as `--wasted-connection-delay`. */
export function deprecatedFlags(settings: ServerSettings): string[] {
  return Object.entries(SETTINGS)
    .filter(([key, { deprecated }]) => deprecated && settings[key as keyof ServerSettings] !== undefined)
    .map(([, { flag }]) => `--${flag}`);
}

/** The settings as they are where nobody says otherwise. */
export function defaultSettings(): ServerSettings {
  const entries = Object.entries(SETTINGS).map(([key, setting]) => [
    key,
    setting.default === undefined ? undefined : parseSetting(setting, setting.default),
  ]);
  return Object.fromEntries(entries) as ServerSettings;
}

/** Settings checked against each other; throws a SettingError. */
export function checkSettings(settings: ServerSettings): void {
  const { maxStateBytes, maxRequestBytes, keepalive, keepaliveTimeout } = settings;
  checkSecurity(settings);
  if (maxStateBytes > maxRequestBytes) {
    throw new SettingError(
      `--max-state-bytes ${maxStateBytes} cannot be set in one call: --max-request-bytes is ${maxRequestBytes}`,
    );
  }
  const { streamHeartbeat } = settings;
  if (streamHeartbeat > 0 && streamHeartbeat < 5 * SECOND) {
    throw new SettingError(`--stream-heartbeat: ${streamHeartbeat}ms is out of range; allowed: 0, or 5s to 300s`);
  }
  checkRates(settings);
  if (keepaliveTimeout > keepalive) {
    throw new SettingError(
      `--keepalive-timeout ${keepaliveTimeout}ms is longer than --keepalive ${keepalive}ms: pings would overlap`,
    );
  }
}
