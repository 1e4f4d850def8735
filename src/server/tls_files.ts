import { unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";
import type { TlsMaterial } from "../rpc/tls.js";
import { readSettingFile } from "./authentication.js";
import type { SecuritySettings } from "./security_settings.js";
import { SettingError } from "./setting.js";

/** How often the files are looked at, in ms. They may be links that are changed as a whole, which no watching reports. */
const LOOK_MS = 2000;

/**
 * Reads the files of the TLS settings; `undefined`: connections are plain text. Throws a SettingError when a file cannot
 * be read, or the certificate and the key do not belong together.
 */
export function readTls({ tlsCert, tlsKey, tlsClientCa }: SecuritySettings): TlsMaterial | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const material = {
    cert: readSettingFile("--tls-cert", tlsCert),
    key: readSettingFile("--tls-key", tlsKey),
    clientCa: tlsClientCa === undefined ? undefined : readSettingFile("--tls-client-ca", tlsClientCa),
  };
  try {
    createSecureContext({ cert: material.cert, key: material.key, ca: material.clientCa });
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
