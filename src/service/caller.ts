import { invalidField, PresenceError } from "../model/errors.js";
import { type Grant, matches } from "../model/grant.js";

/** Who calls, as far as the transport could tell. */
export interface Caller {
  /** `undefined`: the caller gave no name, and is whoever its requests say (S20, trusted callers). */
  readonly userId: string | undefined;
  /** What an authenticated caller may do. Absent: callers are trusted, and may do everything. */
  readonly grant?: Grant;
}

/** What a call brings along that may tell who calls; looked up when asked for, as no server asks for all of it. */
export interface Credentials {
  /** The metadata entry `authorization`. */
  authorization(): string | undefined;
  /** The metadata entry `x-user-id`. */
  userId(): string | undefined;
  /** The certificate that the client's connection has proved to be its own. */
  certificate(): ClientCertificate | undefined;
}

/** A client's certificate that one of the server's authorities vouches for. */
export interface ClientCertificate {
  /** The common name of its subject. */
  readonly name: string;
  /** When it runs out, ms since 1970. */
  readonly expiresAt: number;
}

/**
 * Finds out who calls (S20). Throws, or rejects with, NOT_AUTHENTICATED or TOKEN_EXPIRED when that is not shown, and
 * INVALID_USER_ID when it cannot be a user. Answers at once where it can.
 */
export type Authenticate = (credentials: Credentials) => Caller | Promise<Caller>;

const MAX_USER_ID_BYTES = 128;

/** The caller named by the metadata entry `x-user-id`, believed; throws INVALID_USER_ID if it cannot be one. */
export function callerFromMetadata(userId: string | undefined): Caller {
  if (userId === undefined) return { userId };
  const refuse = (why: string) =>
    invalidField("INVALID_USER_ID", "x-user-id", why, { limit: String(MAX_USER_ID_BYTES) });
  if (userId === "" || Buffer.byteLength(userId) > MAX_USER_ID_BYTES) {
    throw refuse(`must be 1 to ${MAX_USER_ID_BYTES} bytes`);
  }
  if (/[\p{Cc}\p{Cs}]/u.test(userId)) throw refuse("must not hold control characters");
  // Node joins the entries of a name with this, and does not say that there were several.
  if (userId.includes(", ")) throw refuse("must be given once, and must not hold a comma and a space");
  return { userId };
}

/**
 * The user that a request acts for: the one that it names, or the caller (S9, S20).
 *
 * Throws NOT_ALLOWED when it names another user than the caller, for whom it may not act; INVALID_USER_ID when nobody
 * is named at all.
 */
export function actingUser(caller: Caller, requested: string): string {
  if (requested === "") return namedUser(caller, requested);
  if (!mayActFor(caller, requested)) {
    throw new PresenceError("NOT_ALLOWED", `user ${caller.userId} may not act for user ${requested}`, {
      metadata: { user_id: requested, ...(caller.grant && { right: "act_as" }) },
    });
  }
  return requested;
}

/** Whether the caller is this user, or may act for it. */
export function mayActFor({ userId, grant }: Caller, requested: string): boolean {
  if (userId === undefined || userId === requested) return true;
  return grant?.actAs.some((rule) => matches(rule, requested)) ?? false;
}

/** The user that a request asks about: the one that it names, or the caller. Throws INVALID_USER_ID if nobody is. */
export function namedUser(caller: Caller, requested: string): string {
  const userId = requested === "" ? caller.userId : requested;
  if (userId === undefined) {
    throw invalidField("INVALID_USER_ID", "user_id", "is required: name the user here or in the metadata x-user-id");
  }
  return userId;
}
