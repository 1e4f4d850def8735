import type { RollcallServer, ServerParts } from "../../src/server/server.js";
import { startServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";

/** Starts a real server on 127.0.0.1 at a port that the system chooses, silent unless `logLevel` says otherwise. */
export function startTestServer(
  settings: Partial<ServerSettings> = {},
  parts: ServerParts = {},
): Promise<RollcallServer> {
  return startServer(
    { listen: { host: "127.0.0.1", port: 0 }, logLevel: "silent", drainTime: 1000, ...settings },
    parts,
  );
}
