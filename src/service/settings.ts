import type { Rules } from "../channel/apply.js";
import type { ChannelId } from "../model/channel_id.js";
import type { QuotaSettings } from "./admission.js";
import type { CallRateSettings } from "./call_rates.js";

/** What the use cases depend on, apart from the rules of a channel. */
export interface ServiceSettings {
  /** The rules of a channel. Asked for with every command, so one object for all channels that have the same. */
  readonly rulesOf: (channel: ChannelId) => Rules;
  /** Grace of a lost session, in ms, 0 to 300000, where the request does not say (S5). Default 30000. */
  readonly presenceTimeoutMs: number;
  /** Life of a lease between heartbeats, in ms, where the request does not say (S17). Default 30000. */
  readonly leaseTtlMs: number;
  /** Whether a cancelled stream is a leave, where the request does not say (S2). Default true. */
  readonly leaveOnCancel: boolean;
  /** How often an idle stream gets an empty message, in ms, where the request does not ask for less; 0: never. Default 0. */
  readonly streamHeartbeatMs: number;
  /** How long a stream may outlive its caller's token, in ms (S20). Default 0. */
  readonly streamTokenGraceMs: number;
  readonly rates: CallRateSettings;
  readonly quotas: QuotaSettings;
  /** Clients that are sent away come back after a random time up to this, in ms (S24). Default 5000. */
  readonly drainJitterMs: number;
}
