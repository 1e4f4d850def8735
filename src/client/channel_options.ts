import type { ReconnectOptions } from "./reconnect.js";
import type { SubscriptionStatus } from "./status.js";
import type { ResumePoint } from "./subscription_parts.js";

/** What every call takes. */
export interface CallOptions {
  /** Aborts the call, which then fails with the signal's reason: an `AbortError`, or a `TimeoutError` for `AbortSignal.timeout()`. */
  readonly signal?: AbortSignal;
}

/** How to change a state. */
export interface SetStateOptions extends CallOptions {
  /** The given map becomes the whole state, instead of being merged into it. Default: false. */
  readonly replace?: boolean;
  /**
   * Change only if the state's revision is this one, else `STATE_REVISION_MISMATCH` (S14). `0n`: nothing was set since the
   * join or, before it, nothing is pending.
   */
  readonly expectedRevision?: bigint;
}

/** How to take part in a channel. */
export interface SubscribeOptions extends CallOptions {
  /** Hear the snapshot and events; without, one is present and hears nothing (S6). Default: true. */
  readonly withPresence?: boolean;
  /** Hear everything and be invisible (S7). Default: false. */
  readonly quiet?: boolean;
  /** Hear one's own user's events too. Default: false. */
  readonly includeSelf?: boolean;
  /** State to set with the join, merged over what is pending (S12). */
  readonly initialStates?: Readonly<Record<string, string>>;
  /** How long to stay present after being lost, in milliseconds: 0 to 300 000 (S5). Default: the server's setting, 30 000. */
  readonly presenceTimeoutMs?: number;
  /**
   * Whether the server takes a cancelled stream for a leave (true) or a disconnect (false). `close()` sends LeaveChannel,
   * which is a leave in either case. Default: the server's setting, true.
   */
  readonly leaveOnCancel?: boolean;
  /** The session to take up again, from an earlier subscription (S4). */
  readonly sessionId?: string;
  /** Which of the user's devices this is. Default: the client's `deviceId`. */
  readonly deviceId?: string;
  /**
   * Where to go on: an earlier subscription, or its position and members. What was
   * missed comes as events while the server remembers it, else as a snapshot.
   */
  readonly resumeFrom?: ResumePoint;
  /** How to come back when the stream was lost; `false`: not at all, its failure ends the subscription. Default: the client's. */
  readonly reconnect?: ReconnectOptions | boolean;
  /**
   * Called with each new status, before the iteration receives what led to it. An error that it throws, or rejects with,
   * ends the subscription, which then calls it once more with `closed`; an error at `closed` is ignored.
   */
  readonly onStatus?: (status: SubscriptionStatus) => void;
}

/** Whom to ask about (S19). */
export interface OnlineFilter extends CallOptions {
  /** Only these users, in this order, each once: at most 1000. Default: everybody. */
  readonly userIds?: readonly string[];
  /** Only users whose state holds all of these pairs: at most 32. Default: whatever their state. */
  readonly states?: Readonly<Record<string, string>>;
}

/** How to list who is present. */
export interface OnlineUsersOptions extends OnlineFilter {
  /** Bring the states along. Default: false, and `states` is empty. */
  readonly includeStates?: boolean;
  /** How many users one call fetches: 1 to 1000. Default: 100. */
  readonly pageSize?: number;
}

/** How to be present without a stream (S17). */
export interface JoinOptions extends CallOptions {
  /** State to set with the join, merged over what is pending (S12). */
  readonly initialStates?: Readonly<Record<string, string>>;
  /** How long the lease lives without a heartbeat, in milliseconds: 1000 to 300 000. Default: 30 000. */
  readonly ttlMs?: number;
  /** Which of the user's devices this is. Default: the client's `deviceId`. */
  readonly deviceId?: string;
}

/** How to end sessions. */
export interface LeaveOptions extends CallOptions {
  /** Which session. Default: those of this client. */
  readonly sessionId?: string;
  /** All of the user's sessions in the channel, those of other devices too. Not together with `sessionId`. Default: false. */
  readonly all?: boolean;
}
