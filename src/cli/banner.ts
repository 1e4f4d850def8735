import type { RollcallServer } from "../server/server.js";
import { SETTINGS } from "../server/settings.js";

/** What a server says on standard output once it listens: where, whom it believes, and what to try. */
export function banner(server: RollcallServer): string {
  const { address, metricsAddress } = server;
  const standard = server.settings.reflection === "on" ? "health, reflection" : "health";
  const lines = [
    `Rollcall is listening on ${address}${server.settings.tlsCert === undefined ? "" : ", with TLS"}`,
    "",
    ...whomItBelieves(server),
    "",
    ...whatToTry(server),
    "",
    `  On the same port, without a token: ${standard}.${metricsAddress ? `  Metrics: http://${metricsAddress}/metrics` : ""}`,
    "  Stop it with Ctrl-C.",
    "",
  ];
  return `${lines.join("\n")}\n`;
}

function whomItBelieves({ settings, authenticates }: RollcallServer): string[] {
  if (settings.devSecret) {
    return [
      "  DEVELOPMENT SECRET: anybody on this machine can make a token for any user.",
      "  Never use it where that matters; --token-secret-file takes a secret of your own.",
    ];
  }
  if (authenticates) {
    const by = settings.identityFromCert ? "a token or a client certificate" : "a token";
    return [`  Callers show who they are by ${by}.`];
  }
  return [
    "  Callers are trusted: whoever reaches this address is who its requests say.",
    settings.trustCallers
      ? "  --trust-callers is on: do not let anybody reach it whom you do not trust."
      : "  It is reached from this machine alone.",
  ];
}

function whatToTry({ address, settings, authenticates }: RollcallServer): string[] {
  const target = settings.tlsCert === undefined ? address : `https://${address}`;
  const where = target === SETTINGS.listen.default ? "" : ` --address ${target}`;
  const title = "  Try it, in another terminal:";
  if (settings.devSecret) {
    const as = (user: string) => `--token "$(npx rollcall token --dev-secret --user ${user})"`;
    return [
      title,
      `    npx rollcall watch chat_room ${as("anna")}${where}`,
      `    npx rollcall watch chat_room ${as("tony")} --set Mode=Happy${where}`,
    ];
  }
  if (authenticates) return [title, `    npx rollcall watch chat_room --token TOKEN${where}`];
  return [
    title,
    `    npx rollcall watch chat_room --user anna${where}`,
    `    npx rollcall watch chat_room --user tony --set Mode=Happy${where}`,
  ];
}
