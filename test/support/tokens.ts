import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A secret that is long enough, for tests. */
export const SECRET = "a secret of tests, long enough to be one";

/** Parts of a token to be put together as nobody should. */
export interface TokenParts {
  readonly header?: object;
  /** As an object, or as JSON. */
  readonly claims?: object | string;
}

/** The claims of a token that is good for an hour. */
export function goodClaims(more: object = {}): Record<string, unknown> {
  return { sub: "tony", exp: Math.floor(Date.now() / 1000) + 3600, ...more };
}

const encode = (value: object | string): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

function unsigned({ header, claims }: TokenParts, alg: string): string {
  return `${encode({ alg, typ: "JWT", ...header })}.${encode(claims ?? goodClaims())}`;
}

/** A token signed with HS256, written by hand: what a library would refuse to make is what a forger makes. */
export function hs256(parts: TokenParts = {}, secret: string | Buffer = SECRET): string {
  const text = unsigned(parts, "HS256");
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** A token without a signature, which says so. */
export function unsecured(parts: TokenParts = {}): string {
  return `${unsigned(parts, "none")}.`;
}

/** A token signed with RS256. */
export function rs256(parts: TokenParts, key: KeyObject): string {
  const text = unsigned(parts, "RS256");
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}

/** A token signed with ES256. */
export function es256(parts: TokenParts, key: KeyObject): string {
  const text = unsigned(parts, "ES256");
  return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

/** A token signed with EdDSA. */
export function eddsa(parts: TokenParts, key: KeyObject): string {
  const text = unsigned(parts, "EdDSA");
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

/** A key pair of an issuer. */
export interface Pair {
  readonly publicPem: string;
  readonly publicJwk: Record<string, unknown>;
  readonly privateKey: KeyObject;
}

/** Makes a key pair: RSA of 2048 bits, P-256, or Ed25519. */
export function keyPair(kind: "rsa" | "ec" | "ed25519", rsaBits = 2048): Pair {
  const { publicKey, privateKey } = generate(kind, rsaBits);
  const publicPem = publicKey.export({ type: "spki", format: "pem" }) as string;
  return { publicPem, publicJwk: publicKey.export({ format: "jwk" }) as Record<string, unknown>, privateKey };
}

function generate(kind: "rsa" | "ec" | "ed25519", modulusLength: number) {
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength });
  return kind === "ec" ? generateKeyPairSync("ec", { namedCurve: "prime256v1" }) : generateKeyPairSync("ed25519");
}
