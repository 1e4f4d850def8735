import { type ChangeItem, type History, hears, isChange, type Position } from "./history.js";
import { type Stream, streamsOf } from "./streams.js";
import { type Change, changesHeardBy, sameStates, type Truth, TruthWalk } from "./truth.js";
import { collector, showItem, showPosition, showStates, type Violation } from "./violation.js";

/** How many missing events one violation names; a wild revision must not cost the test its memory. */
const MOST_NAMED = 3;

/** Who changed the channel at each revision, as some readers heard it. Keys are positions in a word. */
export type Evidence = ReadonlyMap<string, Change>;

/** What all these readers heard together: where the truth is unknown, it says whose the missing revisions were. */
export function evidenceOf(histories: readonly History[]): Evidence {
  const evidence = new Map<string, Change>();
  for (const change of histories.flatMap(changesHeardBy)) {
    const key = showPosition(change.position);
    if (!evidence.has(key)) evidence.set(key, change);
  }
  return evidence;
}

/**
 * S16 *Gap-free*: from the SNAPSHOT (or from where the stream was resumed) to the last position, each event that
 * the reader should hear arrives exactly once and as it happened. Only for readers that kept up, in a channel that
 * stayed in announce mode: an INTERVAL breaks it, and so does what a second SNAPSHOT left out.
 *
 * Without the truth a revision may be missing only when `evidence` shows that it was the reader's own user's.
 */
export function gapFree(history: History, truth?: Truth, evidence: Evidence = new Map()): Violation[] {
  const { violations, report } = collector("brokeGapFree", history);
  const walk = truth?.changes && new TruthWalk(truth.changes);

  const happenedAt = (position: Position) =>
    walk ? walk.changeAt(position) : (evidence.get(showPosition(position)) ?? "unknown");

  function reportMissing(index: number, after: Position, before: bigint): void {
    const missing = walk ? missingOfTruth(walk, after, before) : missingOfEvidence(after, before);
    const some = [...take(missing, MOST_NAMED + 1)];
    if (some.length === 0) return;
    const named = some.slice(0, MOST_NAMED).join(", ");
    report(index, `missing: ${named}${some.length > MOST_NAMED ? ", …" : ""}`);
  }

  function* missingOfTruth(walk: TruthWalk, after: Position, before: bigint): Generator<string> {
    for (const change of walk.between(after.epoch, after.revision, before - 1n)) {
      if (hears(history, change.userId)) yield showChange(change);
    }
  }

  function* missingOfEvidence(after: Position, before: bigint): Generator<string> {
    for (let revision = after.revision + 1n; revision < before; revision++) {
      const word = showPosition({ epoch: after.epoch, revision });
      const happened = evidence.get(word);
      if (!happened) yield `${word} (nobody heard whose)`;
      else if (hears(history, happened.userId)) yield showChange(happened);
    }
  }

  function checkStream(stream: Stream): void {
    let at = stream.begin.resumeFrom;
    for (const [i, item] of stream.items.entries()) {
      const index = stream.offset + i;
      const { epoch, revision } = item.position;
      if (item.kind === "interval") report(index, `${showItem(item)} instead of single events`);
      if (item.kind === "snapshot") {
        // The SNAPSHOT that a stream opens with, or that answers a resume, leaves nothing out.
        if (at?.epoch === epoch && at !== stream.begin.resumeFrom) reportMissing(index, at, revision + 1n);
        at = item.position;
      }
      if (!isChange(item) || at?.epoch !== epoch) continue;
      if (revision <= at.revision) {
        report(index, `${showItem(item)} came after ${showPosition(at)}`);
        continue;
      }
      reportMissing(index, at, revision);
      const difference = differsFrom(item, happenedAt(item.position), walk);
      if (difference) report(index, difference);
      at = item.position;
    }
    const final = truth?.final?.position;
    if (!stream.ended && at && final && at.epoch === final.epoch) {
      reportMissing(stream.offset + stream.items.length, at, final.revision + 1n);
    }
  }

  for (const stream of streamsOf(history)) checkStream(stream);
  return violations;
}

/** In what the event is not what happened; undefined when it is. */
function differsFrom(item: ChangeItem, happened: Change | "unknown" | undefined, walk?: TruthWalk): string | undefined {
  if (happened === undefined) return `${showItem(item)} never happened`;
  if (happened === "unknown") return undefined;
  if (item.kind !== happened.kind || item.userId !== happened.userId) {
    return `${showItem(item)} was ${showChange(happened)}`;
  }
  if (item.kind !== "state") return undefined;
  if (!sameStates(item.states, happened.states)) return `${showItem(item)} was ${showChange(happened)}`;
  if (item.stateRevision !== item.position.revision) {
    return `${showItem(item)} has the state's revision as ${item.stateRevision}`;
  }
  if (!walk) return undefined;
  walk.moveTo({ epoch: item.position.epoch, revision: item.position.revision - 1n });
  const before = walk.members.get(item.userId)?.states ?? {};
  const changed = Object.keys(item.states).filter((key) => before[key] !== item.states[key]);
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(item.states, key));
  return (
    listDiffers(item, "changed_keys", item.changedKeys, changed) ??
    listDiffers(item, "removed_keys", item.removedKeys, removed)
  );
}

function listDiffers(item: ChangeItem, field: string, keys: readonly string[], truth: string[]): string | undefined {
  const [seen, expected] = [JSON.stringify(keys), JSON.stringify(truth.sort())];
  return seen === expected ? undefined : `${showItem(item)} has ${field} ${seen}, not ${expected}`;
}

function* take<T>(items: Iterable<T>, most: number): Generator<T> {
  let count = 0;
  for (const item of items) {
    if (count++ === most) return;
    yield item;
  }
}

function showChange(change: Change): string {
  const states = change.kind === "state" ? ` ${showStates(change.states)}` : "";
  return `${change.kind} of ${change.userId} at ${showPosition(change.position)}${states}`;
}
