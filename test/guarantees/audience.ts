import type { History } from "./history.js";
import { hears, isChange } from "./history.js";
import { streamsOf } from "./streams.js";
import { collector, showItem, type Violation } from "./violation.js";

/**
 * S6, who hears: no event of one's own user without `includeSelf` (an INTERVAL may name it, S18); nothing but
 * SUBSCRIBED without presence; and nothing of another channel than that of the first SUBSCRIBED.
 */
export function audience(history: History): Violation[] {
  const { violations, report } = collector("brokeAudience", history);
  let channel: string | undefined;
  for (const stream of streamsOf(history)) {
    channel ??= stream.items[0]?.channel;
    for (const [index, item] of stream.items.entries()) {
      if (item.channel !== channel) {
        report(stream.offset + index, `${showItem(item)} is of the channel ${item.channel}, not ${channel}`);
      } else if (!history.withPresence && item.kind !== "subscribed") {
        report(stream.offset + index, `${showItem(item)} came to a reader without presence`);
      } else if (isChange(item) && !hears(history, item.userId)) {
        report(stream.offset + index, `${showItem(item)} came to that user itself`);
      }
    }
  }
  return violations;
}
