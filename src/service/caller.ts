import { invalidField, PresenceError } from "../model/errors.js";

/** Who calls, as far as the transport could tell. */
export interface Caller {
  /** `undefined`: the caller gave no name, and is whoever its requests say (S20, trusted callers). */
  readonly userId: string | undefined;
  /** Whether it may watch channels that it is not in. Absent: it may not. */
  readonly mayWatch?: boolean;
}

const MAX_USER_ID_BYTES = 128;

/**
 * The caller named by the metadata entry `x-user-id`; throws INVALID_USER_ID if it cannot be one. Nobody has vouched for
 * it, so it is trusted, and may watch channels (S20).
 */
export function callerFromMetadata(userId: string | undefined): Caller {
  if (userId !== undefined && (userId === "" || Buffer.byteLength(userId) > MAX_USER_ID_BYTES)) {
    throw invalidField("INVALID_USER_ID", "x-user-id", `must be 1 to ${MAX_USER_ID_BYTES} bytes`, {
      limit: String(MAX_USER_ID_BYTES),
    });
  }
  if (userId !== undefined && /\p{Cc}/u.test(userId)) {
    throw invalidField("INVALID_USER_ID", "x-user-id", "must not hold control characters");
  }
  return { userId, mayWatch: true };
}

/** Throws NOT_ALLOWED unless the caller may watch channels that it is not in. */
export function checkMayWatch(caller: Caller): void {
  if (caller.mayWatch) return;
  const metadata: Record<string, string> = {};
  if (caller.userId !== undefined) metadata.user_id = caller.userId;
  throw new PresenceError("NOT_ALLOWED", "the caller may not watch channels", { metadata });
}

/**
 * The user that a request acts for: the one that it names, or the caller (S9, S20).
 *
 * Throws NOT_ALLOWED when it names another user than the caller, INVALID_USER_ID when nobody is named at all.
 */
export function actingUser(caller: Caller, requested: string): string {
  if (requested === "") return namedUser(caller, requested);
  if (caller.userId !== undefined && caller.userId !== requested) {
    throw new PresenceError("NOT_ALLOWED", `user ${caller.userId} may not act for user ${requested}`, {
      metadata: { user_id: requested },
    });
  }
  return requested;
}

/** The user that a request asks about: the one that it names, or the caller. Throws INVALID_USER_ID if nobody is. */
export function namedUser(caller: Caller, requested: string): string {
  const userId = requested === "" ? caller.userId : requested;
  if (userId === undefined) {
    throw invalidField("INVALID_USER_ID", "user_id", "is required: name the user here or in the metadata x-user-id");
  }
  return userId;
}
