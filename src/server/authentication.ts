import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { DEV_SECRET } from "../auth/dev_secret.js";
import { KeyError, type KeySource, loadKeys } from "../auth/keys.js";
import { TokenVerifier } from "../auth/token_verifier.js";
import { DEFAULT_CHANNELS } from "../model/grant.js";
import { notAuthenticated, tokenExpired } from "../model/unauthenticated.js";
import { type Authenticate, type Caller, type ClientCertificate, callerFromMetadata } from "../service/caller.js";
import type { SecuritySettings } from "./security_settings.js";
import { SettingError } from "./setting.js";

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
  const source = keySource(settings);
  const onRefused = (why: string): void => log.debug({ why }, "not authenticated");
  const tokens = source && verifier(source.source, source.flag, { settings, now, onRefused });
  if (!tokens && !settings.identityFromCert) return ({ userId }) => callerFromMetadata(userId);
  return ({ authorization, certificate }) => {
    if (tokens && (authorization !== undefined || !settings.identityFromCert)) return tokens.verify(authorization);
    if (!certificate) {
      onRefused("no certificate with a name");
      throw notAuthenticated();
    }
    return certified(certificate, now());
  };
}

/** Whom a certificate names, for as long as it is valid: connections outlive it. */
function certified({ name, expiresAt }: ClientCertificate, now: number): Caller {
  if (now >= expiresAt) throw tokenExpired();
  return { ...callerFromMetadata(name), grant: { app: "", channels: DEFAULT_CHANNELS, actAs: [], expiresAt } };
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

function keySource(settings: SecuritySettings): { readonly source: KeySource; readonly flag: string } | undefined {
  const { tokenSecret, tokenSecretFile, tokenKeyFile, tokenJwks, devSecret, jwksMaxAge, jwksCooldown } = settings;
  if (tokenSecret !== undefined) return { flag: "--token-secret", source: { kind: "secret", secret: tokenSecret } };
  if (tokenSecretFile !== undefined) {
    const flag = "--token-secret-file";
    // Editors end a file with a line break, which is no part of the secret.
    return { flag, source: { kind: "secret", secret: readSettingFile(flag, tokenSecretFile).replace(/\r?\n$/, "") } };
  }
  if (tokenKeyFile !== undefined) {
    const flag = "--token-key-file";
    return { flag, source: { kind: "public", text: readSettingFile(flag, tokenKeyFile) } };
  }
  if (tokenJwks !== undefined) {
    return {
      flag: "--token-jwks",
      source: { kind: "jwks", url: tokenJwks, maxAgeMs: jwksMaxAge, cooldownMs: jwksCooldown },
    };
  }
  return devSecret ? { flag: "--dev-secret", source: { kind: "secret", secret: DEV_SECRET } } : undefined;
}

/** The text of a file that a setting names; throws a SettingError that says which and why it cannot be read. */
export function readSettingFile(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SettingError(`${flag}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
