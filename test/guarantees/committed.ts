import type { Truth } from "./truth.js";
import { showPosition, type Violation } from "./violation.js";

/**
 * The position of contract.md and S1 to S11, asked of the server's own list of changes: in each epoch the revision
 * grows by exactly 1 from 1 on, and a user joins before it changes or goes, and goes before it joins again.
 * All other validators build on that.
 */
export function committed(truth: Truth): Violation[] {
  const violations: Violation[] = [];
  const present = new Map<string, Set<string>>();
  const revisions = new Map<string, bigint>();
  for (const [index, { position, kind, userId }] of (truth.changes ?? []).entries()) {
    const report = (seen: string) => violations.push({ name: "brokeCommitted", reader: "truth", index, seen });
    const before = revisions.get(position.epoch) ?? 0n;
    if (position.revision !== before + 1n) report(`${showPosition(position)} follows revision ${before}`);
    revisions.set(position.epoch, position.revision);

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
