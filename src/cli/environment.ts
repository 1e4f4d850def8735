/** Variables of the commands that talk to a server; those of `serve` are named after its settings. */
export const CLIENT_VARIABLES = ["ROLLCALL_USER", "ROLLCALL_ADDRESS", "ROLLCALL_TOKEN"] as const;

/** Kubernetes sets these for a Service that is called rollcall. */
const FROM_KUBERNETES = /^ROLLCALL_(?:SERVICE_(?:HOST|PORT)|PORT$|PORT_\d+_)/;

/**
 * A warning for each variable whose name begins with `ROLLCALL_` and that no command reads, with the nearest one that
 * exists. Variables of other commands than the one that runs are not reported.
 */
export async function unknownVariables(env: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  const isClients = (name: string): boolean => (CLIENT_VARIABLES as readonly string[]).includes(name);
  const others = Object.keys(env).filter(
    (name) => name.startsWith("ROLLCALL_") && !isClients(name) && !FROM_KUBERNETES.test(name),
  );
  if (others.length === 0) return [];
  // Loaded here, as commands without such variables do not need the settings of the server.
  const { environmentName, SETTINGS } = await import("../server/settings.js");
  const known = [...CLIENT_VARIABLES, ...Object.values(SETTINGS).map(environmentName)];
  return others
    .filter((name) => !known.includes(name))
    .map(
      (name) =>
        `the environment variable ${name} is ignored: there is none of that name; the nearest is ${nearest(name, known)}`,
    );
}

function nearest(name: string, known: readonly string[]): string {
  const distances = known.map((other) => distance(name, other));
  return known[distances.indexOf(Math.min(...distances))]!;
}

/** How many characters must be inserted, deleted or replaced to make one text of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
