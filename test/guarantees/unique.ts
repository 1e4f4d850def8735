import type { HeardItem, History } from "./history.js";
import { streamsOf } from "./streams.js";
import { collector, showItem, type Violation } from "./violation.js";

/**
 * S16 *Unique*: no event twice in one stream. A join and a state change may share a revision (what a slow
 * reader missed of one user, collapsed), and so may the parts of one INTERVAL; the same event of the same user
 * may not. A whole SNAPSHOT may be repeated at its position only after OUT_OF_SERVICE.
 */
export function unique(history: History): Violation[] {
  const { violations, report } = collector("brokeUnique", history);
  for (const stream of streamsOf(history)) {
    let seen = new Set<string>();
    let place = "";
    for (const [index, item] of stream.items.entries()) {
      // Only what shares a position can be the same event, and order is another promise.
      const here = `${item.position.epoch}/${item.position.revision}`;
      if (here !== place) seen = new Set();
      place = here;
      if (item.kind === "out_of_service") seen.delete("snapshot");
      const names = namesOf(item);
      if (names.some((name) => seen.has(name)) || new Set(names).size < names.length) {
        report(stream.offset + index, `${showItem(item)} came twice`);
      }
      for (const name of names) seen.add(name);
    }
  }
  return violations;
}

/** What the item tells, as words that may occur only once at a position. */
function namesOf(item: HeardItem): string[] {
  switch (item.kind) {
    case "subscribed":
    case "out_of_service":
      return [];
    case "snapshot":
      return item.last ? ["snapshot"] : [];
    case "interval": {
      const changed = item.changed.map((user) => user.userId);
      const lists = { joined: item.joined, left: item.left, timedOut: item.timedOut, changed };
      const names = Object.entries(lists).flatMap(([list, users]) => users.map((userId) => `${list} ${userId}`));
      return names.length > 0 ? names : ["interval"];
    }
    default:
      return [`${item.kind} ${item.userId}`];
  }
}
