import { type Delta, deltaBytes } from "../model/delta.js";
import { joinPieces } from "./messages.js";
import type { NetChanges, PendingInterval } from "./pending_interval.js";
import type { Piece } from "./ports.js";
import type { Reader } from "./reader.js";

/**
 * Tells every change of a batch singly (S16): the same bytes to all who keep up, but for those whom one of the changes
 * is their own; the others keep it for later. Gives the number of events written, counted once for each reader.
 */
export function announce(readers: Iterable<Reader>, batch: readonly Delta[], encode: (delta: Delta) => Piece): number {
  const pieces = batch.map(encode);
  const everything = joinPieces(pieces);
  const actors = new Set(batch.map((delta) => delta.userId));
  const first = batch[0]!.revision;
  const withoutOwn = new Map<string, { readonly messages: Uint8Array[]; readonly events: number }>();
  let delivered = 0;
  for (const reader of readers) {
    if (!reader.isLive) {
      for (let i = 0; i < batch.length; i++) reader.keep(batch[i]!, pieces[i]!.length);
      continue;
    }
    const { userId, includeSelf } = reader;
    if (reader.position >= first) {
      const news = pieces.filter((_, i) => batch[i]!.revision > reader.position && reader.hears(batch[i]!.userId));
      reader.write(joinPieces(news));
      delivered += news.length;
    } else if (includeSelf || !actors.has(userId)) {
      reader.write(everything);
      delivered += batch.length;
    } else {
      let others = withoutOwn.get(userId);
      if (!others) {
        const theirs = pieces.filter((_, i) => batch[i]!.userId !== userId);
        others = { messages: joinPieces(theirs), events: theirs.length };
        withoutOwn.set(userId, others);
      }
      reader.write(others.messages);
      delivered += others.events;
    }
  }
  return delivered;
}

/**
 * Tells an interval on balance (S18): the same bytes to all who keep up and knew the channel when it began. Who began
 * in the middle of it, with a snapshot or with what it had missed, is told the balance of the rest. Gives the number of
 * events written, counted once for each reader.
 */
export function tellInterval(
  readers: Iterable<Reader>,
  interval: PendingInterval,
  encode: (changes: NetChanges) => Piece,
): number {
  const { deltas } = interval;
  const knownToAll = deltas[0]!.revision - 1;
  const messages = new Map<number, readonly Uint8Array[]>();
  let sizes: readonly number[] | undefined;
  let delivered = 0;
  for (const reader of readers) {
    if (!reader.isLive) {
      sizes ??= deltas.map(deltaBytes);
      for (let i = 0; i < deltas.length; i++) reader.keep(deltas[i]!, sizes[i]!);
      continue;
    }
    const position = Math.max(reader.position, knownToAll);
    let message = messages.get(position);
    if (!message) {
      const changes = interval.netAfter(position);
      message = changes ? joinPieces([encode(changes)]) : [];
      messages.set(position, message);
    }
    reader.write(message);
    delivered += message.length;
  }
  return delivered;
}
