import type { HeardItem, History } from "./history.js";
import { streamsOf } from "./streams.js";
import { type Truth, TruthWalk } from "./truth.js";
import { View } from "./view.js";
import { collector, type Violation } from "./violation.js";

/**
 * S16 *Alternating*: for each user a join comes before a leave or timeout, and never two of a kind in a row.
 * A state change is of a user that is there. Who was in the SNAPSHOT has joined. Inside an INTERVAL those who
 * went come before those who came, and those before the changed (S18).
 *
 * A resumed stream goes on from what was held; when nobody knows that, from the first event of each user.
 */
export function alternating(history: History, truth?: Truth): Violation[] {
  const { violations, report } = collector("brokeAlternating", history);
  const walk = truth?.changes && new TruthWalk(truth.changes);
  const view = new View();
  for (const stream of streamsOf(history)) {
    view.begin(stream.begin, walk);
    const seen = new Map<string, boolean>();
    for (const [index, item] of stream.items.entries()) {
      const complete = view.complete;
      const isPresent = (userId: string) =>
        seen.get(userId) ?? (view.members.has(userId) || (complete ? false : undefined));
      for (const { userId, needs, leaves, what } of stepsOf(item)) {
        // Its own user a reader hears of in an INTERVAL only by chance (S18), so nothing alternates there.
        if (userId === history.userId && !history.includeSelf) continue;
        if (isPresent(userId) === !needs) {
          const position = `${item.position.epoch}/${item.position.revision}`;
          report(
            stream.offset + index,
            `${what} of ${userId} at ${position}, who was ${needs ? "not there" : "there already"}`,
          );
        }
        seen.set(userId, leaves);
      }
      if (view.apply(item).replaced) seen.clear();
    }
  }
  return violations;
}

/** One user's step: whether the user must have been present before it, and is after it. */
interface Step {
  readonly userId: string;
  readonly what: string;
  readonly needs: boolean;
  readonly leaves: boolean;
}

function stepsOf(item: HeardItem): Step[] {
  const go = (what: string) => (userId: string) => ({ userId, what, needs: true, leaves: false });
  const come = (userId: string) => ({ userId, what: "join", needs: false, leaves: true });
  const change = (userId: string) => ({ userId, what: "state", needs: true, leaves: true });
  switch (item.kind) {
    case "join":
      return [come(item.userId)];
    case "leave":
    case "timeout":
      return [go(item.kind)(item.userId)];
    case "state":
      return [change(item.userId)];
    case "interval":
      return [
        ...item.left.map(go("leave")),
        ...item.timedOut.map(go("timeout")),
        ...item.joined.map(come),
        ...item.changed.map((user) => change(user.userId)),
      ];
    default:
      return [];
  }
}
