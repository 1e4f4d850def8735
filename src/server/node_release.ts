import { isLoopback } from "./check_security.js";

/** The first release of each line of Node in which CVE-2026-56846 and CVE-2026-56848, both of HTTP/2, are mended. */
const MENDED = ["22.23.2", "24.18.1", "26.5.1"] as const;

/**
 * What is wrong with listening there on this version of Node, for a log; undefined: nothing that is known here. It is
 * HTTP/2 that faces the network, and lines that have come to their end (20 among them) get no more fixes.
 *
 * @param host Where the server listens. On loopback nobody is warned.
 * @param version Without a `v`, as in `process.versions.node`.
 */
export function nodeWarning(host: string, version: string): string | undefined {
  if (isLoopback(host) || isMended(version)) return undefined;
  return (
    `Node ${version} has known flaws in HTTP/2 that a stranger can use (CVE-2026-56846, CVE-2026-56848), ` +
    `and listens beyond this machine; run ${MENDED.join(", ")} or newer`
  );
}

function isMended(version: string): boolean {
  const [major, minor, patch] = numbers(version);
  const lines = MENDED.map(numbers);
  const line = lines.find(([first]) => first === major);
  if (!line) return major! > lines.at(-1)![0]!;
  return minor! > line[1]! || (minor === line[1] && patch! >= line[2]!);
}

function numbers(version: string): number[] {
  return version.split(".").map((part) => Number.parseInt(part, 10));
}
