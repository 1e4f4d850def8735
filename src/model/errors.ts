import type { UserState } from "./user_state.js";

/** Why a call was refused or a stream ended: the names of the contract's ErrorReason, without its prefix (S22). */
export const REASONS = [
  "PRESENCE_USER_NOT_EXIST",
  "INVALID_ARGUMENT",
  "INVALID_CHANNEL_NAME",
  "INVALID_CHANNEL_TYPE",
  "INVALID_USER_ID",
  "INVALID_STATE_KEY",
  "STATE_KEY_SIZE_OVERFLOW",
  "STATE_VALUE_SIZE_OVERFLOW",
  "INVALID_PAGE_TOKEN",
  "STATE_COUNT_OVERFLOW",
  "STATE_SIZE_OVERFLOW",
  "CACHED_TOO_MANY_STATES",
  "TOO_MANY_CHANNELS",
  "SESSION_NOT_FOUND",
  "STATE_REVISION_MISMATCH",
  "SAME_USER_REPLACED",
  "RATE_LIMITED",
  "NOT_AUTHENTICATED",
  "TOKEN_EXPIRED",
  "NOT_ALLOWED",
  "PRESENCE_OUT_OF_SERVICE",
  "SERVER_DRAINING",
  "NOT_IMPLEMENTED",
  "SUBSCRIBER_TOO_SLOW",
  "INTERNAL",
  "TOO_MANY_SESSIONS",
  "QUOTA_EXCEEDED",
  "SERVER_OVERLOADED",
] as const;

/** One of the reasons that the contract names. */
export type Reason = (typeof REASONS)[number];

/** One argument that broke a rule. */
export interface FieldViolation {
  /** The path of the field in the request, as the contract spells it: `channel.name`. */
  readonly field: string;
  /** What is wrong and what is allowed. */
  readonly description: string;
  readonly reason: Reason;
}

/** What a refusal may bring along. */
export interface ErrorExtras {
  /** Facts for a program, such as the limit that was passed. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  /** When a retry may help, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** The state as it is, where a compare-and-set failed (S14). */
  readonly currentState?: UserState;
}

/** A refusal that the caller is meant to see (S22). Any other error is the server's own fault. */
export class PresenceError extends Error {
  override readonly name = "PresenceError";
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly currentState: UserState | undefined;

  constructor(
    readonly reason: Reason,
    message: string,
    extras: ErrorExtras = {},
  ) {
    super(message);
    this.metadata = extras.metadata ?? {};
    this.violations = extras.violations ?? [];
    this.retryAfterMs = extras.retryAfterMs;
    this.currentState = extras.currentState;
  }
}

/** A refusal because of one argument. */
export function invalidField(
  reason: Reason,
  field: string,
  description: string,
  metadata: Record<string, string> = {},
): PresenceError {
  return new PresenceError(reason, `${field}: ${description}`, {
    metadata: { field, ...metadata },
    violations: [{ field, description, reason }],
  });
}
