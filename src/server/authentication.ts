import type { Logger } from "pino";
import { DEV_SECRET } from "../auth/dev_secret.js";
import { isUserId } from "../auth/identity.js";
import { KeyError, type KeySource, loadKeys } from "../auth/keys.js";
import { secretIn } from "../auth/text_file.js";
import { TokenVerifier } from "../auth/token_verifier.js";
import { DEFAULT_CHANNELS } from "../model/grant.js";
import { notAuthenticated, tokenExpired } from "../model/unauthenticated.js";
import { type Authenticate, type Caller, type ClientCertificate, callerFromMetadata } from "../service/caller.js";
import type { SecuritySettings } from "./security_settings.js";
import { SettingError } from "./setting.js";
import { readSettingFile } from "./setting_file.js";

/** How long a failure to fetch keys stands before it is tried again, in ms. */
const JWKS_RETRY_MS = 1000;

/** What finding out who calls needs. */
export interface AuthenticationOptions {
  readonly settings: SecuritySettings;
  /** The time, ms since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * Finds out who calls as the settings say (S20): by a token where one is given, else by the client's certificate; and
 * where neither is asked for, callers are believed. Throws a SettingError when keys cannot be read or used.
 */
export function authentication({ settings, now, log }: AuthenticationOptions): Authenticate {
  const onFailure = (why: string): void => log.warn({ why }, "the keys of tokens could not be fetched");
  const source = keySource(settings, onFailure);
  const onRefused = (why: string): void => log.debug({ why }, "not authenticated");
  const tokens = source && verifier(source.source, source.flag, { settings, now, onRefused });
  if (!tokens && !settings.identityFromCert) return (credentials) => callerFromMetadata(credentials.userId());
  return (credentials) => {
    const authorization = credentials.authorization();
    if (tokens && (authorization !== undefined || !settings.identityFromCert)) return tokens.verify(authorization);
    const caller = certified(credentials.certificate(), now());
    if (caller) return caller;
    onRefused("no certificate with a user's name");
    throw notAuthenticated();
  };
}

/** Whom a certificate names, if it is a user, for as long as it is valid: connections outlive it. */
function certified(certificate: ClientCertificate | undefined, now: number): Caller | undefined {
  if (!certificate || !isUserId(certificate.name)) return undefined;
  const { name: userId, expiresAt } = certificate;
  if (now >= expiresAt) throw tokenExpired();
  return { userId, grant: { app: "", channels: DEFAULT_CHANNELS, actAs: [], expiresAt } };
}

function verifier(
  source: KeySource,
  flag: string,
  { settings, now, onRefused }: { settings: SecuritySettings; now: () => number; onRefused: (why: string) => void },
): TokenVerifier {
  const { tokenAlgorithms, tokenIssuer: issuer, tokenAudience: audience, tokenLeeway: leewayMs } = settings;
  try {
    const keys = loadKeys(
      source,
      tokenAlgorithms?.split(",").map((algorithm) => algorithm.trim()),
    );
    return new TokenVerifier({ keys, issuer, audience, leewayMs, now, onRefused });
  } catch (error) {
    throw error instanceof KeyError ? new SettingError(`${flag}: ${error.message}`) : error;
  }
}

function keySource(
  settings: SecuritySettings,
  onFailure: (why: string) => void,
): { readonly source: KeySource; readonly flag: string } | undefined {
  const { tokenSecret, tokenSecretFile, tokenKeyFile, tokenJwks, devSecret, jwksMaxAge, jwksCooldown } = settings;
  if (tokenSecret !== undefined) return { flag: "--token-secret", source: { kind: "secret", secret: tokenSecret } };
  if (tokenSecretFile !== undefined) {
    const flag = "--token-secret-file";
    return { flag, source: { kind: "secret", secret: secretIn(readSettingFile(flag, tokenSecretFile).text) } };
  }
  if (tokenKeyFile !== undefined) {
    const flag = "--token-key-file";
    return { flag, source: { kind: "public", text: readSettingFile(flag, tokenKeyFile).text } };
  }
  if (tokenJwks !== undefined) {
    return {
      flag: "--token-jwks",
      source: {
        kind: "jwks",
        url: tokenJwks,
        maxAgeMs: jwksMaxAge,
        cooldownMs: jwksCooldown,
        retryMs: JWKS_RETRY_MS,
        onFailure,
      },
    };
  }
  return devSecret ? { flag: "--dev-secret", source: { kind: "secret", secret: DEV_SECRET } } : undefined;
}
