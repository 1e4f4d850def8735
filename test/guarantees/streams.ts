import type { BeginItem, HeardItem, History } from "./history.js";

/** One stream out of a reader's history. */
export interface Stream {
  readonly begin: BeginItem;
  /** Index in `history.items` of the stream's first heard item (there may be none). */
  readonly offset: number;
  readonly items: readonly HeardItem[];
  /** False only for the last stream of a history, when the reader was still listening. */
  readonly ended: boolean;
}

/**
 * The streams of a history in order. A begin without an end before it ends the stream before. Throws
 * when something was heard outside of a stream: the recording itself is wrong then.
 */
export function streamsOf(history: History): Stream[] {
  const streams: { begin: BeginItem; offset: number; items: HeardItem[]; ended: boolean }[] = [];
  for (const [index, item] of history.items.entries()) {
    const current = streams.at(-1);
    if (item.kind === "begin") {
      if (current) current.ended = true;
      streams.push({ begin: item, offset: index + 1, items: [], ended: false });
    } else if (!current || current.ended) {
      throw new Error(`history of ${history.name}: item ${index} (${item.kind}) lies outside of a stream`);
    } else if (item.kind === "end") {
      current.ended = true;
    } else {
      current.items.push(item);
    }
  }
  return streams;
}
