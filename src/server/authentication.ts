import type { Logger } from "pino";
import { DEV_SECRET } from "../auth/dev_secret.js";
import { isUserId } from "../auth/identity.js";
import { KeyError, type KeySource, type Keys, loadKeys } from "../auth/keys.js";
import type { PublishedKeysOptions } from "../auth/published_keys.js";
import { secretIn } from "../auth/text_file.js";
import { LIVES_TOO_LONG, TokenVerifier } from "../auth/token_verifier.js";
import { DEFAULT_CHANNELS } from "../model/grant.js";
import { notAuthenticated, tokenExpired } from "../model/unauthenticated.js";
import { type Authenticate, type Caller, type ClientCertificate, callerFromMetadata } from "../service/caller.js";
import type { SecuritySettings } from "./security_settings.js";
import { type Warn, warnOfReaders, warnOfWeakSecret } from "./security_warnings.js";
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
  readonly warn: Warn;
  /** The issuer of tokens publishes other keys than before. */
  readonly onKeysChanged: () => void;
}

/** How a server finds out who calls. */
export interface Authentication {
  readonly authenticate: Authenticate;
  /** Whether the key of this id, which signed a caller's token, is still published. */
  readonly isKeyPublished: (keyId: string) => boolean;
  /** Stops asking for keys. */
  close(): void;
}

/**
 * Finds out who calls as the settings say (S20): by a token where one is given, else by the client's certificate; and
 * where neither is asked for, callers are believed. Throws a SettingError when keys cannot be read or used.
 */
export function authentication({ settings, now, log, warn, onKeysChanged }: AuthenticationOptions): Authentication {
  const source = keySource(settings, warn, {
    onFailure: (why) => log.warn({ why }, "the keys of tokens could not be fetched"),
    onChange: () => {
      log.info("the keys of tokens have changed");
      onKeysChanged();
    },
  });
  const keys = source && keysOf(source, settings);
  let saidTooLong = false;
  const onRefused = (why: string): void => {
    log.debug({ why }, "not authenticated");
    // Not a stranger's doing: it takes a good signature to be told, and a setting to be let in.
    if (why !== LIVES_TOO_LONG || saidTooLong) return;
    saidTooLong = true;
    log.warn({ maxTokenLife: settings.maxTokenLife }, "a token was refused because it is valid for too long");
  };
  const { tokenIssuer: issuer, tokenAudience: audience, tokenLeeway: leewayMs, maxTokenLife: maxLifeMs } = settings;
  const tokens = keys && new TokenVerifier({ keys, issuer, audience, leewayMs, maxLifeMs, now, onRefused });
  const authenticate: Authenticate = (credentials) => {
    if (!tokens && !settings.identityFromCert) return callerFromMetadata(credentials.userId());
    const authorization = credentials.authorization();
    if (tokens && (authorization !== undefined || !settings.identityFromCert)) return tokens.verify(authorization);
    const caller = certified(credentials.certificate(), now());
    if (caller) return caller;
    onRefused("no certificate with a user's name");
    throw notAuthenticated();
  };
  return {
    authenticate,
    isKeyPublished: (keyId) => keys?.published?.isPublished(keyId) ?? true,
    close: () => keys?.published?.close(),
  };
}

/** Whom a certificate names, if it is a user, for as long as it is valid: connections outlive it. */
function certified(certificate: ClientCertificate | undefined, now: number): Caller | undefined {
  if (!certificate || !isUserId(certificate.name)) return undefined;
  const { name: userId, expiresAt } = certificate;
  if (now >= expiresAt) throw tokenExpired();
  return { userId, grant: { app: "", channels: DEFAULT_CHANNELS, actAs: [], expiresAt } };
}

/** Where keys come from, and the setting that says so. */
interface FlaggedSource {
  readonly source: KeySource;
  readonly flag: string;
}

function keysOf({ source, flag }: FlaggedSource, { tokenAlgorithms }: SecuritySettings): Keys {
  try {
    return loadKeys(
      source,
      tokenAlgorithms?.split(",").map((algorithm) => algorithm.trim()),
    );
  } catch (error) {
    throw error instanceof KeyError ? new SettingError(`${flag}: ${error.message}`) : error;
  }
}

function keySource(
  settings: SecuritySettings,
  warn: Warn,
  listeners: Pick<PublishedKeysOptions, "onFailure" | "onChange">,
): FlaggedSource | undefined {
  const { tokenSecret, tokenSecretFile, tokenKeyFile, tokenJwks, devSecret, jwksMaxAge, jwksCooldown } = settings;
  const bySecret = (flag: string, secret: string): FlaggedSource => {
    warnOfWeakSecret(flag, secret, warn);
    return { flag, source: { kind: "secret", secret } };
  };
  if (tokenSecret !== undefined) return bySecret("ROLLCALL_TOKEN_SECRET", tokenSecret);
  if (tokenSecretFile !== undefined) {
    const flag = "--token-secret-file";
    const file = readSettingFile(flag, tokenSecretFile);
    warnOfReaders(flag, file, warn);
    return bySecret(flag, secretIn(file.text));
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
        tick: () => performance.now(),
        ...listeners,
      },
    };
  }
  return devSecret ? { flag: "--dev-secret", source: { kind: "secret", secret: DEV_SECRET } } : undefined;
}
