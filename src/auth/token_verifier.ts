import { errors, jwtVerify } from "jose";
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
  /** The time, ms since 1970. */
  readonly now: () => number;
  /** A token was refused; `why` is for a log, and holds nothing of the token. */
  readonly onRefused: (why: string) => void;
}

/** A token is longer than that for no good reason, in characters. */
const MAX_TOKEN_LENGTH = 8192;

/** How many verified tokens are remembered. */
const CACHED_TOKENS = 10_000;

/**
 * Finds out who a call's token says that it is (S20). What was verified is remembered until it expires: a key's work for
 * each call would cost more than the call.
 */
export class TokenVerifier {
  readonly #verified = new RecentCache<Identity>(CACHED_TOKENS);

  constructor(private readonly options: TokenVerifierOptions) {}

  /**
   * The identity in a metadata entry `authorization: Bearer …`; at once when it is remembered. Throws, or rejects with,
   * NOT_AUTHENTICATED, TOKEN_EXPIRED for one that was valid, and PRESENCE_OUT_OF_SERVICE while the keys cannot be had.
   */
  verify(authorization: string | undefined): Identity | Promise<Identity> {
    if (authorization === undefined) return this.#refuse("no token");
    const known = this.#verified.get(authorization);
    if (!known) return this.#verify(authorization);
    if (known.grant.expiresAt! > this.options.now()) return known;
    this.#verified.delete(authorization);
    this.options.onRefused("expired");
    throw tokenExpired();
  }

  async #verify(authorization: string): Promise<Identity> {
    const { keys, issuer, audience, leewayMs, now } = this.options;
    const token = /^Bearer +([\w.-]+)$/i.exec(authorization)?.[1];
    if (token === undefined || token.length > MAX_TOKEN_LENGTH) return this.#refuse("not of the form Bearer TOKEN");
    let identity: Identity;
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        algorithms: [...keys.algorithms],
        requiredClaims: ["sub", "exp"],
        clockTolerance: leewayMs / 1000,
        currentDate: new Date(now()),
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      });
      identity = identityOf(payload, leewayMs);
    } catch (error) {
      throw this.#refusalOf(error);
    }
    this.#verified.set(authorization, identity);
    return identity;
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
  // What has no code of its own says that the key set could not be fetched.
  return !["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID"].includes(error.code);
}

/** The code of the library, and which claim it was; never its value. */
function whatIsWrong(error: Error): string {
  if (error instanceof ClaimError) return error.message;
  const code = error instanceof errors.JOSEError ? error.code : error.name;
  return error instanceof errors.JWTClaimValidationFailed ? `${code} ${error.claim}` : code;
}
