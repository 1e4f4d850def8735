import { type ChannelGrant, DEFAULT_CHANNELS, type Grant, type NameRule, RIGHTS, type Right } from "../model/grant.js";

/** A user whose token was found to be good, and what it grants (S20). */
export interface Identity {
  readonly userId: string;
  readonly grant: Grant;
}

/** What the claim `presence` of a token may hold. Every part may be left out. */
export interface PresenceClaim {
  /** The namespace that the user lives in: at most 64 bytes of UTF-8, no control characters. Default: "". */
  readonly app?: string;
  /** Rights by channel. Default: subscribe, write and read in all channels of the app. */
  readonly channels?: readonly ChannelGrant[];
  /** Users for whom the user may act; a text is a pattern. Default: none. */
  readonly act_as?: readonly (string | NameRule)[];
}

/** Why a token's claims grant nothing; the message is for the server's log alone. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";
}

const MAX_USER_ID_BYTES = 128;
const MAX_APP_BYTES = 64;
/** A name of 128 bytes, and a star. */
const MAX_PATTERN_BYTES = 129;
/** More than these a token does not need, and each call looks at all of them. */
const MAX_RULES = 100;

/**
 * The user and the grant in the claims of a token whose signature was verified. `expiresAt` is the claim `exp` and the
 * leeway, in ms since 1970. Throws a ClaimError where a claim is not as it must be: a grant that was misread could be
 * one too many. Rights of names that are not known grant nothing.
 *
 * @param keyId The key that signed the token, where that key may be withdrawn.
 */
export function identityOf(claims: Readonly<Record<string, unknown>>, leewayMs: number, keyId?: string): Identity {
  const { sub, exp, presence = {} } = claims;
  if (!isUserId(sub)) throw new ClaimError("sub: is not a user id");
  if (typeof exp !== "number") throw new ClaimError("exp: is required");
  if (!isObject(presence)) throw new ClaimError("presence: is not an object");
  const { app = "", channels, act_as = [] } = presence;
  if (!isName(app, MAX_APP_BYTES)) throw new ClaimError("presence.app: is not a name");
  const actAs = listIn(act_as, "presence.act_as").map((entry) =>
    ruleIn(typeof entry === "string" ? { pattern: entry } : entry, "presence.act_as"),
  );
  const granted = channels === undefined ? DEFAULT_CHANNELS : channelGrants(channels);
  return { userId: sub, grant: { app, channels: granted, actAs, expiresAt: exp * 1000 + leewayMs, keyId } };
}

/** Whether a value can be a user's id, by the same rules as in requests (S21). */
export function isUserId(value: unknown): value is string {
  return isName(value, MAX_USER_ID_BYTES) && value !== "";
}

function channelGrants(channels: unknown): readonly ChannelGrant[] {
  return listIn(channels, "presence.channels").map((entry) => {
    const rule = ruleIn(entry, "presence.channels");
    const { allow } = entry as { allow?: unknown };
    if (!Array.isArray(allow)) throw new ClaimError("presence.channels: an entry has no list `allow`");
    return { ...rule, allow: allow.filter(isRight) };
  });
}

function isRight(value: unknown): value is Right {
  return (RIGHTS as readonly unknown[]).includes(value);
}

function listIn(value: unknown, claim: string): readonly unknown[] {
  if (Array.isArray(value) && value.length <= MAX_RULES) return value;
  throw new ClaimError(`${claim}: is not a list of at most ${MAX_RULES} entries`);
}

/** `{ name }` or `{ pattern }`, and not both. */
function ruleIn(value: unknown, claim: string): NameRule {
  const { name, pattern } = isObject(value) ? value : {};
  if (isName(name, MAX_PATTERN_BYTES) && pattern === undefined) return { name };
  if (isName(pattern, MAX_PATTERN_BYTES) && name === undefined) return { pattern };
  throw new ClaimError(`${claim}: an entry has not one name or one pattern`);
}

/**
 * The same rules as for names in requests: a control character could part a key in two, and surrogates without their
 * other half would all become the same character in UTF-8.
 */
function isName(value: unknown, maxBytes: number): value is string {
  return typeof value === "string" && Buffer.byteLength(value) <= maxBytes && !/[\p{Cc}\p{Cs}]/u.test(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
