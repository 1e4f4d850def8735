import type { Setting } from "./setting.js";

/** Settings of who is let in (S20): tokens, certificates, encryption. */
export interface SecuritySettings {
  readonly tokenSecret: string | undefined;
  readonly tokenSecretFile: string | undefined;
  readonly tokenKeyFile: string | undefined;
  readonly tokenJwks: string | undefined;
  readonly tokenAlgorithms: string | undefined;
  readonly tokenIssuer: string | undefined;
  readonly tokenAudience: string | undefined;
  readonly tokenLeeway: number;
  readonly maxTokenLife: number;
  readonly jwksMaxAge: number;
  readonly jwksCooldown: number;
  readonly streamTokenGrace: number;
  readonly devSecret: boolean;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly identityFromCert: boolean;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** The settings of who is let in, as a part of the table of all. */
export const SECURITY_SETTINGS: Readonly<Record<keyof SecuritySettings, Setting>> = {
  tokenSecret: {
    flag: "token-secret",
    kind: "secret",
    default: undefined,
    help: "secret of HS256 tokens, 32 bytes or more",
  },
  tokenSecretFile: {
    flag: "token-secret-file",
    kind: "text",
    default: undefined,
    help: "file with the secret of HS256 tokens",
  },
  tokenKeyFile: {
    flag: "token-key-file",
    kind: "text",
    default: undefined,
    help: "file with the public key of tokens: PEM or JWK; RSA, P-256, P-384, P-521 or Ed25519",
  },
  tokenJwks: { flag: "token-jwks", kind: "text", default: undefined, help: "URL of the public keys of tokens (JWKS)" },
  tokenAlgorithms: {
    flag: "token-algorithms",
    kind: "text",
    default: undefined,
    help: "the only algorithms of tokens, as RS256,ES256; by default what fits the key",
  },
  tokenIssuer: { flag: "token-issuer", kind: "text", default: undefined, help: "what the claim iss must be (any)" },
  tokenAudience: {
    flag: "token-audience",
    kind: "text",
    default: undefined,
    help: "what the claim aud must be or hold (any)",
  },
  tokenLeeway: {
    flag: "token-leeway",
    kind: "duration",
    min: 0,
    max: 5 * MINUTE,
    default: "5s",
    help: "by how much the clocks of issuer and server may differ",
  },
  maxTokenLife: {
    flag: "max-token-life",
    kind: "duration",
    min: MINUTE,
    max: 365 * 24 * 60 * MINUTE,
    default: "24h",
    help: "how long a token may be valid, from iat (without it, from now) to exp",
  },
  jwksMaxAge: {
    flag: "jwks-max-age",
    kind: "duration",
    min: SECOND,
    max: 24 * 60 * MINUTE,
    default: "10m",
    help: "how long keys from --token-jwks are used without asking again",
  },
  jwksCooldown: {
    flag: "jwks-cooldown",
    kind: "duration",
    min: 0,
    max: 60 * MINUTE,
    default: "30s",
    help: "how soon --token-jwks is asked again for a key that is not known",
  },
  streamTokenGrace: {
    flag: "stream-token-grace",
    kind: "duration",
    min: 0,
    max: 24 * 60 * MINUTE,
    default: "0s",
    help: "how long a stream may outlive its token",
  },
  devSecret: {
    flag: "dev-secret",
    kind: "switch",
    default: "false",
    help: "take tokens made by rollcall token --dev-secret, which anybody can make",
  },
  tlsCert: {
    flag: "tls-cert",
    kind: "text",
    default: undefined,
    help: "file with the server's certificate and its chain, PEM",
  },
  tlsKey: { flag: "tls-key", kind: "text", default: undefined, help: "file with the certificate's private key, PEM" },
  tlsClientCa: {
    flag: "tls-client-ca",
    kind: "text",
    default: undefined,
    help: "file with the authorities of client certificates, PEM; clients must then bring one",
  },
  identityFromCert: {
    flag: "identity-from-cert",
    kind: "switch",
    default: "false",
    help: "take the name in the client's certificate for the user",
  },
};
