import type { ListenAddress } from "../rpc/connections.js";
import type { SecuritySettings } from "./security_settings.js";
import { formatAddress, SettingError } from "./setting.js";

/** What of the settings decides who is let in, and from where. */
export interface Exposure extends SecuritySettings {
  readonly listen: ListenAddress;
  readonly trustCallers: boolean;
}

const KEY_SOURCES = {
  tokenSecret: "ROLLCALL_TOKEN_SECRET",
  tokenSecretFile: "--token-secret-file",
  tokenKeyFile: "--token-key-file",
  tokenJwks: "--token-jwks",
  devSecret: "--dev-secret",
} as const;

/** Whether callers show who they are: by tokens, or by certificates. */
export function isAuthenticating(settings: SecuritySettings): boolean {
  return usesTokens(settings) || settings.identityFromCert;
}

/** Whether callers may show who they are by a token. */
export function usesTokens(settings: SecuritySettings): boolean {
  return keySources(settings).length > 0;
}

/** Settings of security, checked against each other; throws a SettingError. */
export function checkSecurity(settings: Exposure): void {
  const { listen, trustCallers, devSecret, tokenJwks, tlsCert, tlsKey, tlsClientCa, identityFromCert } = settings;
  const where = `--listen ${formatAddress(listen)}`;
  const authenticating = isAuthenticating(settings);
  const sources = keySources(settings);
  if (sources.length > 1) throw new SettingError(`${sources.join(" and ")}: give one of them`);
  if (devSecret && !isLoopback(listen.host)) {
    throw new SettingError(
      `${where} is beyond this machine, and anybody can make tokens for --dev-secret; listen on 127.0.0.1`,
    );
  }
  if (trustCallers && authenticating) {
    throw new SettingError(
      "--trust-callers believes everybody, and tokens or certificates are asked for; give one of the two",
    );
  }
  if (!trustCallers && !authenticating && !isLoopback(listen.host)) {
    throw new SettingError(
      `${where} is beyond this machine, and callers are believed who they are; ` +
        "listen on 127.0.0.1, ask for tokens (--token-secret-file, --token-key-file, --token-jwks), or say --trust-callers",
    );
  }
  for (const [name, flag] of Object.entries({
    tokenAlgorithms: "--token-algorithms",
    tokenIssuer: "--token-issuer",
    tokenAudience: "--token-audience",
  })) {
    const given = settings[name as "tokenIssuer"] !== undefined;
    if (given && sources.length === 0)
      throw new SettingError(`${flag} says what tokens must be, but no tokens are asked for`);
  }
  if (tokenJwks !== undefined) checkUrl(tokenJwks);
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new SettingError("--tls-cert and --tls-key belong together; give both");
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    throw new SettingError("--tls-client-ca asks for certificates, which needs --tls-cert and --tls-key");
  }
  if (identityFromCert && tlsClientCa === undefined) {
    throw new SettingError("--identity-from-cert needs --tls-client-ca, which says whose certificates to believe");
  }
}

function keySources(settings: SecuritySettings): string[] {
  return Object.entries(KEY_SOURCES)
    .filter(([name]) => Boolean(settings[name as keyof typeof KEY_SOURCES]))
    .map(([, flag]) => flag);
}

/** Whoever can change the keys on their way can make tokens. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe =
    url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname.replace(/^\[|\]$/g, "")));
  if (!isSafe) throw new SettingError("--token-jwks is not an https: URL, or an http: one of this machine");
}

/** Whether only this machine reaches a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
