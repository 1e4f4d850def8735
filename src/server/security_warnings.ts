import { type Exposure, isLoopback, usesTokens } from "./check_security.js";
import type { ServerSettings } from "./settings.js";

/** Reports a setting that is allowed and not safe everywhere, with the reason. */
export type Warn = (setting: string, why: string) => void;

/** Reports what strangers could use in these settings. What files hold is checked where they are read. */
export function warnOfExposure(settings: Exposure & Pick<ServerSettings, "metrics">, warn: Warn): void {
  const { listen, metrics, tlsCert, tokenJwks, tokenIssuer, tokenAudience } = settings;
  if (usesTokens(settings) && tlsCert === undefined && !isLoopback(listen.host)) {
    warn("--listen", "tokens cross the network in plain text: set --tls-cert and --tls-key, or end TLS in a proxy");
  }
  if (metrics && !isLoopback(metrics.host)) {
    warn("--metrics", "other machines can read the metrics without authentication");
  }
  if (tokenJwks !== undefined && tokenIssuer === undefined) {
    warn("--token-jwks", "tokens of every issuer are accepted that these keys signed: set --token-issuer");
  }
  if (tokenJwks !== undefined && tokenAudience === undefined) {
    warn("--token-jwks", "tokens are accepted that the issuer made for other services: set --token-audience");
  }
}

/** Reports a file of a secret or key that others may read. */
export function warnOfReaders(
  setting: string,
  { isReadableByOthers }: { isReadableByOthers: boolean },
  warn: Warn,
): void {
  if (isReadableByOthers) warn(setting, "other users may read the file: chmod 600");
}

/** The least bits of a secret, by how often its characters occur: 32 random decimal digits have about 100. */
const LEAST_BITS = 90;

/** Reports a secret that can be guessed. */
export function warnOfWeakSecret(setting: string, secret: string, warn: Warn): void {
  if (isRepeated(secret) || bitsOf(secret) < LEAST_BITS) {
    warn(setting, "the secret repeats itself or has few different characters: make one with openssl rand -base64 32");
  }
}

function isRepeated(text: string): boolean {
  return (text + text).indexOf(text, 1) < text.length;
}

function bitsOf(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits += count * Math.log2(text.length / count);
  return bits;
}
