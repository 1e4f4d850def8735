import type { Truth } from "./truth.js";
import { showPosition, type Violation } from "./violation.js";

/**
 * Positions and S1 to S11, checked in the server's own list of changes: in each epoch the revision grows by exactly 1, an
 * epoch has greater revisions than those before it, and a user joins before it changes or goes, and goes before it joins
 * again.
 * All other validators build on that.
 */
export function committed(truth: Truth): Violation[] {
  const violations: Violation[] = [];
  const present = new Map<string, Set<string>>();
  const revisions = new Map<string, bigint>();
  let highest = 0n;
  for (const [index, { position, kind, userId }] of (truth.changes ?? []).entries()) {
    const report = (seen: string) => violations.push({ name: "brokeCommitted", reader: "truth", index, seen });
    const before = revisions.get(position.epoch);
    const follows = before === undefined ? position.revision > highest : position.revision === before + 1n;
    if (!follows) report(`${showPosition(position)} follows revision ${before ?? highest}`);
    revisions.set(position.epoch, position.revision);
    if (position.revision > highest) highest = position.revision;

    const users = present.get(position.epoch) ?? new Set();
    present.set(position.epoch, users);
    if (users.has(userId) === (kind === "join")) {
      const was = kind === "join" ? "there already" : "not there";
      report(`${kind} of ${userId} at ${showPosition(position)}, who was ${was}`);
    }
    if (kind === "join") users.add(userId);
    else if (kind !== "state") users.delete(userId);
  }
  return violations;
}
