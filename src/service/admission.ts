import type { Member } from "../channel/member.js";
import type { Outcome } from "../channel/outcome.js";
import { type MemberSize, sizeAfter, sizeOf } from "../channel/size.js";
import type { AppUsage, Engine, MaybePromise } from "../engine/engine.js";
import { appOf, type ChannelId } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import { andThen } from "./at_once.js";

/** What the channels of one app may take; 0: any amount. Every default is 0. */
export interface QuotaSettings {
  /** Channels that use memory, empty ones that may still be resumed among them. */
  readonly appMaxChannels: number;
  /** Users with sessions or pending states, counted once per channel. */
  readonly appMaxMembers: number;
  /** Approximate memory of channels, users, states and logs, in bytes; logs take at most half of it. */
  readonly appMaxBytes: number;
  /** Pending states, one for each user and channel. */
  readonly appMaxPending: number;
  /** Subscriptions: open streams, and lost ones that may still return. */
  readonly appMaxStreams: number;
}

/** The quotas that are set. */
export function quotasOf(settings: QuotaSettings): readonly (readonly [Quota, number])[] {
  const { appMaxChannels, appMaxMembers, appMaxBytes, appMaxPending, appMaxStreams } = settings;
  const limits: Readonly<Record<Quota, number>> = {
    channels: appMaxChannels,
    members: appMaxMembers,
    bytes: appMaxBytes,
    pending: appMaxPending,
    streams: appMaxStreams,
  };
  return QUOTAS.map((quota) => [quota, limits[quota]] as const).filter(([, limit]) => limit > 0);
}

/** Whether an app's logs have to give way to its states: they take at most half of the quota, and no more than is left. */
export function logsExceed({ appMaxBytes }: QuotaSettings, { bytes, logBytes }: AppUsage): boolean {
  return appMaxBytes > 0 && (bytes > appMaxBytes || logBytes > appMaxBytes / 2);
}

/** What the admission needs. */
export interface AdmissionOptions {
  readonly engine: Engine;
  readonly quotas: QuotaSettings;
  /** Whether the memory of the process is above its limit. */
  readonly isMemoryShort: () => boolean;
}

/** How long a client waits before it tries again while memory is short, in ms. */
const RETRY_MS = 2000;

/** What there are quotas of. */
export const QUOTAS = ["channels", "members", "bytes", "pending", "streams"] as const;
type Quota = (typeof QUOTAS)[number];

/**
 * Refuses commands that would add state beyond a quota of their app, or while memory is short. Only what grows is
 * refused: returns, renewals, removals, leaves, losses and writes that do not make a state larger always pass.
 */
export class Admission {
  readonly #quotas: readonly (readonly [Quota, number])[];
  /** One for all, so that it is encoded once. */
  readonly #overloaded = new PresenceError(
    "SERVER_OVERLOADED",
    "the server's memory limit is reached; nothing new is kept until there is room",
    { retryAfterMs: RETRY_MS },
  );

  constructor(private readonly options: AdmissionOptions) {
    this.#quotas = quotasOf(options.quotas);
  }

  /** Throws, or rejects with, SERVER_OVERLOADED or QUOTA_EXCEEDED if this outcome must not be committed. */
  check(channel: ChannelId, before: Member, outcome: Outcome): MaybePromise<void> {
    const memoryShort = this.options.isMemoryShort();
    if ((!memoryShort && this.#quotas.length === 0) || outcome.joined?.resumed) return;
    const was = sizeOf(before);
    const is = sizeAfter(before, outcome);
    if (is.sessions <= was.sessions && is.bytes <= was.bytes && is.pending <= was.pending) return;
    if (memoryShort) throw this.#overloaded;
    const { engine } = this.options;
    return andThen(engine.usage(appOf(channel)), (usage) => {
      const growth = { ...difference(was, is), channels: 0 };
      if (growth.members <= 0) return checkAll(this.#quotas, usage, growth);
      return andThen(engine.summary(channel), ({ position }) => {
        // A channel that the engine does not know has no epoch.
        checkAll(this.#quotas, usage, { ...growth, channels: position.epoch === "" ? 1 : 0 });
      });
    });
  }
}

type Growth = Readonly<Record<Quota, number>>;

function difference(was: MemberSize, is: MemberSize): Omit<Growth, "channels"> {
  return {
    members: is.members - was.members,
    bytes: is.bytes - was.bytes,
    pending: is.pending - was.pending,
    streams: is.streams - was.streams,
  };
}

function checkAll(quotas: readonly (readonly [Quota, number])[], usage: AppUsage, growth: Growth): void {
  for (const [quota, limit] of quotas) {
    if (growth[quota] > 0 && usage[quota] + growth[quota] > limit) {
      throw new PresenceError("QUOTA_EXCEEDED", `the app would have more than ${limit} ${NAMES[quota]}`, {
        metadata: { quota: quota, limit: String(limit) },
      });
    }
  }
}

const NAMES: Readonly<Record<Quota, string>> = {
  channels: "channels",
  members: "users in its channels",
  bytes: "bytes of channels, users and states",
  pending: "pending states",
  streams: "subscriptions",
};
