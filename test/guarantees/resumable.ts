import { type HeardItem, type History, hears, isChange, type Position } from "./history.js";
import { type Stream, streamsOf } from "./streams.js";
import { type Truth, TruthWalk } from "./truth.js";
import { View } from "./view.js";
import { collector, showItem, showPosition, type Violation } from "./violation.js";

/**
 * S16 *Resumable*: `resume_from` a position that the server remembers gives the missed events and nothing else,
 * otherwise a SNAPSHOT. So a resumed stream says nothing that is not later than its position, nothing of another
 * epoch without a SNAPSHOT, and, while the reader keeps up, begins with the first event that was missed. A test
 * that knows which of the two answers is due says so in `BeginItem.expect`.
 *
 * A reader that resumes after a position must hold everything up to it: an event that did not come before its
 * stream broke would now be lost.
 */
export function resumable(history: History, truth?: Truth, options = { gapFree: true }): Violation[] {
  const { violations, report } = collector("brokeResumable", history);
  if (!history.withPresence) return violations;
  const walk = truth?.changes && new TruthWalk(truth.changes);
  const view = new View();
  let held: Position | undefined;

  for (const [number, stream] of streamsOf(history).entries()) {
    const from = stream.begin.resumeFrom;
    if (from) {
      const lost = number === 0 ? undefined : lostBefore(history, from, held, walk);
      if (lost) report(stream.offset - 1, lost);
      checkAnswer(stream, from);
    }
    view.begin(stream.begin, walk);
    held = from;
    for (const item of stream.items) {
      const { replaced } = view.apply(item);
      // SUBSCRIBED names a position, but brings nothing up to it.
      if (replaced || (held && tells(item))) held = item.position;
    }
  }
  return violations;

  function checkAnswer(stream: Stream, from: Position): void {
    const answer = stream.items.findIndex((item) => item.kind === "snapshot" || tells(item));
    const first = stream.items[answer];
    if (!first) return;
    const index = stream.offset + answer;
    const { expect } = stream.begin;
    if (expect && (first.kind === "snapshot") !== (expect === "snapshot")) {
      report(index, `${showItem(first)} came, though resuming after ${showPosition(from)} had to bring ${expect}`);
    }
    const snapshot = stream.items.findIndex((item) => item.kind === "snapshot");
    const missed = snapshot < 0 ? stream.items : stream.items.slice(0, snapshot);
    for (const [i, item] of missed.entries()) {
      if (!tells(item)) continue;
      if (item.position.epoch !== from.epoch) {
        report(stream.offset + i, `${showItem(item)} is of another epoch than ${showPosition(from)}`);
      } else if (item.position.revision <= from.revision) {
        report(stream.offset + i, `${showItem(item)} is not later than ${showPosition(from)}`);
      }
    }
    if (options.gapFree && walk && isChange(first) && first.position.epoch === from.epoch)
      checkFirst(first, from, index, walk);
  }

  function checkFirst(first: HeardItem, from: Position, index: number, walk: TruthWalk): void {
    const due = walk
      .between(from.epoch, from.revision, first.position.revision)
      .find((change) => hears(history, change.userId));
    if (due && due.position.revision !== first.position.revision) {
      const missed = `${due.kind} of ${due.userId} at ${showPosition(due.position)}`;
      report(index, `${showItem(first)} came first after ${showPosition(from)}, and not ${missed}`);
    }
  }
}

/** Why the reader cannot resume from there without a loss; undefined when it can. */
function lostBefore(history: History, from: Position, held: Position | undefined, walk?: TruthWalk) {
  if (!held) return `resumes after ${showPosition(from)} without a SNAPSHOT to stand on`;
  if (held.epoch !== from.epoch || held.revision >= from.revision) return undefined;
  if (!walk) return `resumes after ${showPosition(from)}, having heard no more than ${showPosition(held)}`;
  const lost = walk.between(from.epoch, held.revision, from.revision).find((change) => hears(history, change.userId));
  return lost && `resumes after ${showPosition(from)}, but ${showPosition(lost.position)} never came`;
}

function tells(item: HeardItem): boolean {
  return isChange(item) || item.kind === "interval";
}
