import { createPublicKey, type KeyObject } from "node:crypto";
import type { JWTVerifyGetKey } from "jose";
import { PublishedKeys, type PublishedKeysOptions } from "./published_keys.js";

/** What tokens are verified with: one of the three. */
export type KeySource =
  /** A secret that issuer and server share: 32 bytes or more. */
  | { readonly kind: "secret"; readonly secret: string }
  /** A public key: PEM, or one JWK. */
  | { readonly kind: "public"; readonly text: string }
  /** Where the issuer publishes its public keys. */
  | ({ readonly kind: "jwks" } & PublishedKeysOptions);

/** Keys, and the algorithms that alone are accepted with them. */
export interface Keys {
  readonly algorithms: readonly string[];
  readonly find: JWTVerifyGetKey;
  /** Where the keys come from, if they may change. */
  readonly published?: PublishedKeys;
}

/** Keys that cannot be used; the message says why, without them. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

const MIN_SECRET_BYTES = 32;
const MIN_RSA_BITS = 2048;

/** Algorithms that fit a kind of key; the first one is meant where nobody says. */
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ED = ["EdDSA", "Ed25519"];
const CURVES: Readonly<Record<string, string>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

/**
 * Makes keys ready. `wanted` pins the algorithms; empty: HS256 for a secret, the one of its kind for a public key
 * (RS256, ES256, EdDSA), and any of these three from a JWKS. An algorithm never comes from a token. Throws a KeyError.
 */
export function loadKeys(source: KeySource, wanted: readonly string[] = []): Keys {
  switch (source.kind) {
    case "secret": {
      const secret = new TextEncoder().encode(source.secret);
      if (secret.length < MIN_SECRET_BYTES) {
        throw new KeyError(`the secret has ${secret.length} bytes; ${MIN_SECRET_BYTES} or more are needed`);
      }
      return { algorithms: pinned(wanted, ["HS256"], ["HS256"]), find: async () => secret };
    }
    case "public": {
      const key = publicKey(source.text);
      const fitting = algorithmsOf(key);
      return { algorithms: pinned(wanted, fitting, fitting.slice(0, 1)), find: async () => key };
    }
    case "jwks": {
      const fitting = [...RSA, ...Object.values(CURVES), ...ED];
      const algorithms = pinned(wanted, fitting, ["RS256", "ES256", "EdDSA"]);
      const published = new PublishedKeys(source);
      return { algorithms, find: published.find, published };
    }
  }
}

function pinned(
  wanted: readonly string[],
  fitting: readonly string[],
  otherwise: readonly string[],
): readonly string[] {
  const misfit = wanted.find((algorithm) => !fitting.includes(algorithm));
  if (misfit !== undefined) {
    throw new KeyError(`algorithm ${misfit} does not fit this kind of key; fitting: ${fitting.join(", ")}`);
  }
  return wanted.length > 0 ? wanted : otherwise;
}

function publicKey(text: string): KeyObject {
  let jwk: { d?: unknown } | undefined;
  try {
    if (text.trimStart().startsWith("{")) jwk = JSON.parse(text);
    // Node would take a private key and use its public half; but such a key does not belong on this machine.
    if (!/PRIVATE KEY/.test(text) && jwk?.d === undefined) {
      return createPublicKey(jwk ? { key: jwk as Record<string, unknown>, format: "jwk" } : text);
    }
  } catch {
    throw new KeyError("the key is neither PEM nor a JWK of a public key");
  }
  throw new KeyError("the key is a private one; give its public key");
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): readonly string[] {
  if (asymmetricKeyType === "rsa") {
    const { modulusLength = 0 } = asymmetricKeyDetails;
    if (modulusLength >= MIN_RSA_BITS) return RSA;
    throw new KeyError(`the RSA key has ${modulusLength} bits; ${MIN_RSA_BITS} or more are needed`);
  }
  if (asymmetricKeyType === "ed25519") return ED;
  const curve = CURVES[asymmetricKeyDetails.namedCurve ?? ""];
  if (curve) return [curve];
  throw new KeyError("the key is of no kind that tokens are signed with; RSA, P-256, P-384, P-521 and Ed25519 are");
}
