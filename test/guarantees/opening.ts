import { type HeardItem, type History, type Position, type SnapshotItem, samePosition } from "./history.js";
import { type Stream, streamsOf } from "./streams.js";
import type { Truth } from "./truth.js";
import { collector, showItem, showPosition, type Violation } from "./violation.js";

/** The most bytes that one chunk of a SNAPSHOT may have when encoded (S15): 256 KiB. */
export const MAX_CHUNK_BYTES = 256 * 1024;

type Report = (index: number, seen: string) => void;

/**
 * S15, the order of a stream: SUBSCRIBED first and once; then, with presence, a complete SNAPSHOT in chunks of
 * at most 256 KiB with the last one marked, unless the stream was resumed; every later event has a revision
 * greater than the SNAPSHOT's. The same holds for every SNAPSHOT that comes later. A SNAPSHOT is complete when
 * it has as many users as it says, nobody twice, and oneself (unless quiet) among them.
 */
export function opening(history: History, truth?: Truth): Violation[] {
  const { violations, report } = collector("brokeOpening", history);
  for (const stream of streamsOf(history)) {
    const begun = beginsWithSubscribed(stream, truth?.final !== undefined, report);
    if (begun && history.withPresence) checkSnapshots(history, stream, truth?.final !== undefined, report);
  }
  return violations;
}

function beginsWithSubscribed(stream: Stream, quiescent: boolean, report: Report): boolean {
  const [first, ...later] = stream.items;
  if (!first) {
    if (quiescent && !stream.ended) report(stream.offset, "SUBSCRIBED never came");
    return false;
  }
  if (first.kind !== "subscribed") report(stream.offset, `${showItem(first)} came before SUBSCRIBED`);
  else if (first.sessionId === "") report(stream.offset, "SUBSCRIBED without a session id");
  for (const [index, item] of later.entries()) {
    if (item.kind === "subscribed") report(stream.offset + 1 + index, `${showItem(item)} was not the first`);
  }
  return true;
}

/** A SNAPSHOT whose last chunk has not come yet. */
interface Unfinished {
  readonly position: Position;
  readonly users: Set<string>;
  /** How many users the first chunk promised. */
  readonly occupancy: number;
}

function checkSnapshots(history: History, stream: Stream, quiescent: boolean, report: Report): void {
  let unfinished: Unfinished | undefined;
  let basis: Position | undefined;
  let opened = stream.begin.resumeFrom !== undefined;

  for (const [i, item] of stream.items.entries()) {
    const index = stream.offset + i;
    if (item.kind === "snapshot") {
      const first = stream.items[0];
      if (!basis && first?.kind === "subscribed" && first.position.epoch !== item.position.epoch) {
        report(index, `${showItem(item)} is of another epoch than SUBSCRIBED, ${showPosition(first.position)}`);
      }
      unfinished = gather(unfinished, item, index, report);
      if (!item.last) continue;
      checkWhole(history, unfinished, item, index, report);
      basis = item.position;
      opened = true;
      unfinished = undefined;
    } else if (tellsChanges(item)) {
      if (unfinished) {
        report(index, `${showItem(item)} came into the SNAPSHOT at ${showPosition(unfinished.position)}`);
      } else if (!opened) {
        report(index, `${showItem(item)} came before the SNAPSHOT`);
      } else if (basis?.epoch === item.position.epoch && item.position.revision <= basis.revision) {
        report(index, `${showItem(item)} is not later than the SNAPSHOT at ${showPosition(basis)}`);
      }
      unfinished = undefined;
      opened = true;
    }
  }
  if (stream.ended || !quiescent) return;
  const end = stream.offset + stream.items.length;
  if (unfinished) report(end, `the last chunk of the SNAPSHOT at ${showPosition(unfinished.position)} never came`);
  else if (!opened) report(end, "the SNAPSHOT never came");
}

function gather(unfinished: Unfinished | undefined, chunk: SnapshotItem, index: number, report: Report): Unfinished {
  if (chunk.size > MAX_CHUNK_BYTES) {
    report(index, `${showItem(chunk)} has ${chunk.size} bytes, more than ${MAX_CHUNK_BYTES}`);
  }
  const goesOn = unfinished && samePosition(unfinished.position, chunk.position);
  const { position, occupancy } = chunk;
  const gathered = goesOn ? unfinished : { position, occupancy, users: new Set<string>() };
  if (occupancy !== gathered.occupancy) report(index, `${showItem(chunk)} follows one of ${gathered.occupancy} users`);
  for (const { userId } of chunk.users) {
    if (gathered.users.has(userId)) report(index, `${showItem(chunk)} has ${userId} twice`);
    gathered.users.add(userId);
  }
  return gathered;
}

function checkWhole(history: History, whole: Unfinished, last: SnapshotItem, index: number, report: Report): void {
  if (whole.users.size !== last.occupancy) {
    report(index, `the SNAPSHOT at ${showPosition(last.position)} has ${whole.users.size} users of ${last.occupancy}`);
  }
  if (!history.quiet && !whole.users.has(history.userId)) {
    report(index, `the SNAPSHOT at ${showPosition(last.position)} lacks the reader itself`);
  }
}

function tellsChanges(item: HeardItem): boolean {
  return item.kind !== "subscribed" && item.kind !== "snapshot" && item.kind !== "out_of_service";
}
