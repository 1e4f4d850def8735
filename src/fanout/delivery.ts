import { deltaBytes } from "../model/delta.js";
import type { Announcement } from "./announcement.js";
import { concat } from "./messages.js";
import type { NetChanges, PendingInterval } from "./pending_interval.js";
import type { Piece } from "./ports.js";
import type { Reader } from "./reader.js";

/**
 * Tells every change of a batch singly (S16): the same bytes to all who keep up, but for those whom one of the changes
 * is their own. A reader keeps for later what its stream has no room for, the others the whole batch. Returns the number
 * of events written, counted once for each reader.
 */
export function announce(readers: Iterable<Reader>, everything: Announcement): number {
  const { deltas: batch, pieces } = everything;
  const actors = new Set(batch.map((delta) => delta.userId));
  const first = batch[0]!.revision;
  const withoutOwn = new Map<string, Announcement>();
  let delivered = 0;
  for (const reader of readers) {
    if (!reader.isLive) {
      for (let i = 0; i < batch.length; i++) reader.keep(batch[i]!, pieces[i]!.length);
      continue;
    }
    const { userId, includeSelf } = reader;
    if (reader.position >= first) {
      const { position } = reader;
      delivered += reader.write(everything.only((delta) => delta.revision > position && reader.hears(delta.userId)));
    } else if (includeSelf || !actors.has(userId)) {
      delivered += reader.write(everything);
    } else {
      let others = withoutOwn.get(userId);
      if (!others) {
        others = everything.only((delta) => delta.userId !== userId);
        withoutOwn.set(userId, others);
      }
      delivered += reader.write(others);
    }
  }
  return delivered;
}

/**
 * Tells an interval on balance (S18): the same bytes to all who keep up and knew the channel when it began. Who began
 * in the middle of it, with a snapshot or with what it had missed, receives the net changes of the rest. Returns the
 * number of events written, counted once for each reader.
 */
export function tellInterval(
  readers: Iterable<Reader>,
  interval: PendingInterval,
  encode: (changes: NetChanges) => Piece,
): number {
  const { deltas } = interval;
  const knownToAll = deltas[0]!.revision - 1;
  const messages = new Map<number, Uint8Array | undefined>();
  let sizes: readonly number[] | undefined;
  let delivered = 0;
  for (const reader of readers) {
    if (!reader.isLive) {
      sizes ??= deltas.map(deltaBytes);
      for (let i = 0; i < deltas.length; i++) reader.keep(deltas[i]!, sizes[i]!);
      continue;
    }
    const position = Math.max(reader.position, knownToAll);
    if (!messages.has(position)) {
      const changes = interval.netAfter(position);
      messages.set(position, changes && concat([encode(changes)]));
    }
    const message = messages.get(position);
    if (!message) continue;
    reader.writeOne(message);
    delivered += 1;
  }
  return delivered;
}
