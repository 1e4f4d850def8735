import { hash } from "node:crypto";
import { errors, type JWTPayload, jwtVerify } from "jose";
import { PresenceError } from "../model/errors.js";
import { notAuthenticated, tokenExpired } from "../model/unauthenticated.js";
import { ClaimError, type Identity, identityOf } from "./identity.js";
import type { Keys } from "./keys.js";
import { RecentCache } from "./token_cache.js";

/** What a TokenVerifier holds tokens against. */
export interface TokenVerifierOptions {
  readonly keys: Keys;
  /** The claim `iss` must be this. Undefined: any, or none. */
  readonly issuer: string | undefined;
  /** The claim `aud` must be, or hold, this. Undefined: any, or none. */
  readonly audience: string | undefined;
  /** By how much the clocks of issuer and server may differ, in ms. Default 5000. */
  readonly leewayMs: number;
  /** The longest time from `iat`, or without it from now, to `exp`, in ms. Default 86400000. */
  readonly maxLifeMs: number;
  /** The time, ms since 1970. */
  readonly now: () => number;
  /** A token was refused; `why` is for a log, and holds nothing of the token. */
  readonly onRefused: (why: string) => void;
}

/** The longest `authorization`, in bytes. */
const MAX_HEADER_BYTES = 8192;

/** How many verified tokens are remembered. */
const CACHED_TOKENS = 10_000;

/** Why a token was refused whose life is too long: an operator who meant it has to change a setting. */
export const LIVES_TOO_LONG = "exp: is further off than --max-token-life allows";

/** A token that was verified. */
interface Verified {
  readonly identity: Identity;
  /** The version of the keys that verified it. */
  readonly keysVersion: number | undefined;
}

/**
 * Finds out who a call's token says that it is (S20). What was verified is remembered until it expires or the keys
 * change: a key's work for each call would cost more than the call.
 */
export class TokenVerifier {
  /** By hash of the token: what the caller sends around it, or its length, must not count. */
  readonly #verified = new RecentCache<Verified>(CACHED_TOKENS);

  constructor(private readonly options: TokenVerifierOptions) {}

  /**
   * The identity in a metadata entry `authorization: Bearer …`; at once when it is remembered. Throws, or rejects with,
   * NOT_AUTHENTICATED, TOKEN_EXPIRED for one that was valid, and PRESENCE_OUT_OF_SERVICE while the keys cannot be had.
   */
  verify(authorization: string | undefined): Identity | Promise<Identity> {
    if (authorization === undefined) return this.#refuse("no token");
    const token = tokenIn(authorization);
    if (token === undefined) return this.#refuse("not of the form Bearer TOKEN");
    const key = hash("sha256", token, "base64");
    const known = this.#verified.get(key);
    if (!known || known.keysVersion !== this.options.keys.published?.version) return this.#verify(token, key);
    if (known.identity.grant.expiresAt! > this.options.now()) return known.identity;
    this.#verified.delete(key);
    this.options.onRefused("expired");
    throw tokenExpired();
  }

  async #verify(token: string, cacheKey: string): Promise<Identity> {
    const { keys, issuer, audience, leewayMs, now } = this.options;
    let identity: Identity;
    let keysVersion: number | undefined;
    try {
      const { payload, key } = await jwtVerify(
        token,
        async (header, input) => {
          const found = await keys.find(header, input);
          keysVersion = keys.published?.version;
          return found;
        },
        {
          algorithms: [...keys.algorithms],
          requiredClaims: ["sub", "exp"],
          clockTolerance: leewayMs / 1000,
          currentDate: new Date(now()),
          ...(issuer !== undefined && { issuer }),
          ...(audience !== undefined && { audience }),
        },
      );
      this.#checkLife(payload);
      identity = identityOf(payload, leewayMs, keys.published?.idOf(key));
    } catch (error) {
      throw this.#refusalOf(error);
    }
    this.#verified.set(cacheKey, { identity, keysVersion });
    return identity;
  }

  /** A token is withdrawn by its expiry alone, so one that is valid for years is refused. */
  #checkLife({ iat, exp }: JWTPayload): void {
    const { leewayMs, maxLifeMs, now } = this.options;
    const from = Math.min(iat ?? Number.POSITIVE_INFINITY, now() / 1000);
    if (!((exp! - from) * 1000 <= maxLifeMs + leewayMs)) throw new ClaimError(LIVES_TOO_LONG);
  }

  #refuse(why: string): never {
    this.options.onRefused(why);
    throw notAuthenticated();
  }

  /** Signatures are looked at first, so that none but the owner of a token learns that it has expired. */
  #refusalOf(error: unknown): PresenceError {
    const { onRefused } = this.options;
    if (error instanceof errors.JWTExpired) {
      onRefused("expired");
      return tokenExpired();
    }
    if (isTokensFault(error)) {
      onRefused(whatIsWrong(error));
      return notAuthenticated();
    }
    onRefused("the keys to verify tokens with cannot be had");
    return new PresenceError("PRESENCE_OUT_OF_SERVICE", "tokens cannot be verified at the moment", {
      retryAfterMs: 1000,
    });
  }
}

/** Whether a token was found wanting; otherwise it was the keys that could not be had. */
function isTokensFault(error: unknown): error is Error {
  if (error instanceof ClaimError) return true;
  if (!(error instanceof errors.JOSEError)) return false;
  return error.code !== "ERR_JWKS_INVALID";
}

/** The code of the library, and which claim it was; never its value. */
function whatIsWrong(error: Error): string {
  if (error instanceof ClaimError) return error.message;
  const code = error instanceof errors.JOSEError ? error.code : error.name;
  return error instanceof errors.JWTClaimValidationFailed ? `${code} ${error.claim}` : code;
}

/** The token of `Bearer TOKEN`, with one space between them. */
function tokenIn(authorization: string): string | undefined {
  if (authorization.length > MAX_HEADER_BYTES) return undefined;
  return /^Bearer ([\w.-]+)$/i.exec(authorization)?.[1];
}
