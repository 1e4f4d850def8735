import { SignJWT } from "jose";
import type { PresenceClaim } from "./identity.js";

/** What a token is to say. */
export interface MintOptions {
  /** The claim `sub`: who the caller is. */
  readonly userId: string;
  readonly presence: PresenceClaim;
  /** How long it is to be valid, in ms, whole seconds. */
  readonly lifeMs: number;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  /** The secret that the server has as well. */
  readonly secret: string;
}

/** A token for development and for tests, signed with HS256. */
export function mintToken({ userId, presence, lifeMs, issuer, audience, secret }: MintOptions): Promise<string> {
  const token = new SignJWT(Object.keys(presence).length > 0 ? { presence } : {})
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime(Math.floor((Date.now() + lifeMs) / 1000));
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(new TextEncoder().encode(secret));
}
