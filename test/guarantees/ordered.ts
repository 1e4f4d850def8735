import { type History, isChange, type Position } from "./history.js";
import { streamsOf } from "./streams.js";
import { collector, showItem, showPosition, type Violation } from "./violation.js";

/**
 * S16 *Ordered*: revisions never go back, within an epoch or from one to the next. Neither in one stream nor from one
 * stream of a reader to its next, where only a `resume_from` may ask for the past, and a SNAPSHOT is never of the past. An
 * epoch that is over does not come back, and within a stream another epoch begins with a SNAPSHOT.
 */
export function ordered(history: History): Violation[] {
  const { violations, report } = collector("brokeOrdered", history);
  const past = new Map<string, Position>();
  let current: Position | undefined;

  for (const stream of streamsOf(history)) {
    let previous: Position | undefined;
    for (const [index, item] of stream.items.entries()) {
      const floor = item.kind === "snapshot" ? current : (previous ?? stream.begin.resumeFrom ?? current);
      if (floor && goesBack(item.position, floor)) {
        report(stream.offset + index, `${showItem(item)} came after ${showPosition(floor)}`);
      } else if (past.has(item.position.epoch) && item.position.epoch !== current?.epoch) {
        report(stream.offset + index, `${showItem(item)} came after its epoch had ended`);
      } else if (previous && item.position.epoch !== previous.epoch && (isChange(item) || item.kind === "interval")) {
        report(stream.offset + index, `${showItem(item)} began another epoch without a SNAPSHOT`);
      }
      previous = item.position;
      if (!current || current.epoch !== item.position.epoch || !goesBack(item.position, current)) {
        current = item.position;
      }
      past.set(current.epoch, current);
    }
  }
  return violations;
}

function goesBack(position: Position, floor: Position): boolean {
  return position.epoch === floor.epoch ? position.revision < floor.revision : position.revision <= floor.revision;
}
