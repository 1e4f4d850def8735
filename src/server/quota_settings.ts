import type { QuotaSettings } from "../service/admission.js";
import { MIB, type Setting } from "./setting.js";

/** The settings of how much memory apps and the whole server may use. */
export interface MemorySettings extends QuotaSettings {
  /** Percent of Node's heap limit; 0: no limit. */
  readonly maxMemoryPercent: number;
  /** Bytes of all channels' histories together. */
  readonly resumeTotalBytes: number;
}

const QUOTA = { kind: "count", min: 0, max: 1_000_000_000, default: "0" } as const;

/** The settings of quotas and memory, as a part of the table of all settings. */
export const QUOTA_SETTINGS: Readonly<Record<keyof MemorySettings, Setting>> = {
  appMaxChannels: { ...QUOTA, flag: "app-max-channels", help: "channels of one app; 0: any number" },
  appMaxMembers: {
    ...QUOTA,
    flag: "app-max-members",
    help: "users in the channels of one app, counted once per channel; 0: any number",
  },
  appMaxBytes: {
    flag: "app-max-bytes",
    kind: "bytes",
    min: 0,
    max: 64 * 1024 * MIB,
    default: "0",
    help: "approximate memory of one app's channels, users, states and histories; 0: any amount",
  },
  appMaxPending: {
    ...QUOTA,
    flag: "app-max-pending",
    help: "states of one app that wait for a join, one per user and channel; 0: any number",
  },
  appMaxStreams: {
    ...QUOTA,
    flag: "app-max-streams",
    help: "subscriptions of one app, lost ones that may return included; 0: any number",
  },
  maxMemoryPercent: {
    flag: "max-memory-percent",
    kind: "count",
    min: 0,
    max: 90,
    default: "60",
    help: "memory in use, in percent of Node's heap limit, above which nothing new is accepted; 0: no limit",
  },
  resumeTotalBytes: {
    flag: "resume-total-bytes",
    kind: "bytes",
    min: 0,
    max: 64 * 1024 * MIB,
    default: "256MiB",
    help: "approximate memory of all channels' histories together",
  },
};
