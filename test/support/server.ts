import type { RollcallServer, ServerParts } from "../../src/server/server.js";
import { startServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";

/**
 * Starts a real server on 127.0.0.1 at a port that the system chooses, silent and without a limit of calls and streams unless the
 * settings say otherwise: how fast a test calls depends on the machine, and is not what it is about.
 */
export function startTestServer(
  settings: Partial<ServerSettings> = {},
  parts: ServerParts = {},
): Promise<RollcallServer> {
  return startServer(
    {
      listen: { host: "127.0.0.1", port: 0 },
      logLevel: "silent",
      rateLimit: 0,
      streamRateLimit: 0,
      drainTime: 1000,
      ...settings,
    },
    parts,
  );
}
