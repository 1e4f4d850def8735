import { X509Certificate } from "node:crypto";
import { unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";
import type { TlsMaterial } from "../rpc/tls.js";
import type { SecuritySettings } from "./security_settings.js";
import { type Warn, warnOfReaders } from "./security_warnings.js";
import { SettingError } from "./setting.js";
import { readSettingFile } from "./setting_file.js";

/** How often the files are looked at, in ms. They may be links that are changed as a whole, which no watching reports. */
const LOOK_MS = 2000;

/**
 * Reads the files of the TLS settings; `undefined`: connections are plain text. Throws a SettingError when a file cannot
 * be read, is empty or incomplete, holds a certificate that cannot be parsed, or when the certificate and the key do not
 * belong together.
 */
export function readTls({ tlsCert, tlsKey, tlsClientCa }: SecuritySettings, warn: Warn): TlsMaterial | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const cert = readSettingFile("--tls-cert", tlsCert).text;
  certificatesIn("--tls-cert", tlsCert, cert);
  const keyFile = readSettingFile("--tls-key", tlsKey);
  warnOfReaders("--tls-key", keyFile, warn);
  const key = keyFile.text;
  blocksIn("--tls-key", tlsKey, key);
  const material = { cert, key, clientCa: tlsClientCa === undefined ? undefined : authoritiesIn(tlsClientCa) };
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new SettingError(`--tls-cert and --tls-key cannot be used: ${(error as Error).message}`);
  }
  return material;
}

/** Calls back when one of the files of the TLS settings may have changed; returns how to stop. */
export function watchTls({ tlsCert, tlsKey, tlsClientCa }: SecuritySettings, onChange: () => void): () => void {
  const files = [tlsCert, tlsKey, tlsClientCa].filter((file) => file !== undefined);
  for (const file of files) watchFile(file, { interval: LOOK_MS, persistent: false }, onChange);
  return () => {
    for (const file of files) unwatchFile(file, onChange);
  };
}

/**
 * The authorities of client certificates. A file that says something else as well is refused: a revocation list, for
 * example, would be ignored.
 */
function authoritiesIn(path: string): readonly string[] {
  const flag = "--tls-client-ca";
  const { text } = readSettingFile(flag, path);
  const certificates = certificatesIn(flag, path, text);
  if (blocksIn(flag, path, text).length > certificates.length) {
    throw new SettingError(`${flag}: ${path} holds PEM blocks that are not certificates`);
  }
  return certificates;
}

/** The certificates in a file, at least one, each of which can be parsed. */
function certificatesIn(flag: string, path: string, text: string): readonly string[] {
  const certificates = blocksIn(flag, path, text).filter((block) =>
    /^-----BEGIN (?:\w+ )?CERTIFICATE-----/.test(block),
  );
  if (certificates.length === 0) throw new SettingError(`${flag}: ${path} holds no certificate in PEM format`);
  for (const [index, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch {
      throw new SettingError(`${flag}: ${path}: certificate ${index + 1} of ${certificates.length} cannot be parsed`);
    }
  }
  return certificates;
}

const PEM_BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\n(?:(?!-----)[^\n]*\n)*-----END \1-----[ \t]*$/gm;

/** The PEM blocks of a file. Throws a SettingError if one is incomplete, as in a file that is still being written. */
function blocksIn(flag: string, path: string, text: string): readonly string[] {
  // `$` knows no carriage return before the line feed.
  const lines = text.replaceAll("\r\n", "\n");
  if (/^-----/m.test(lines.replace(PEM_BLOCK, ""))) throw new SettingError(`${flag}: ${path} ends within a PEM block`);
  return lines.match(PEM_BLOCK) ?? [];
}
