import { type HeardItem, type History, type Position, samePosition } from "./history.js";
import { type Stream, streamsOf } from "./streams.js";
import { type Member, sameStates, type Truth, TruthWalk } from "./truth.js";
import { View } from "./view.js";
import { collector, showItem, showPosition, showStates, type Violation } from "./violation.js";

/**
 * S16 *Convergent*: whoever applies SNAPSHOT and events holds exactly the server's state as of the last position:
 * the same users with the same states and revisions, and as many as the occupancy says. The reader's own user
 * counts only in a SNAPSHOT, unless the reader hears it (`includeSelf`).
 *
 * Readers that kept up (`gapFree`) are compared after every event. For the others what they were behind with is
 * collapsed, user by user, so they are compared where the stream is level with the channel again: after a SNAPSHOT,
 * after an INTERVAL, and where the stream ends; and each single state with what it was at its position. With
 * `truth.final`, open readers must hold that in the end.
 */
export function convergent(history: History, truth?: Truth, options = { gapFree: true }): Violation[] {
  const { violations, report } = collector("brokeConvergent", history);
  if (!history.withPresence) return violations;
  const view = new View();
  const walk = truth?.changes && new TruthWalk(truth.changes);
  const comparison = new Comparison(history, view);

  for (const stream of streamsOf(history)) {
    view.begin(stream.begin, walk);
    comparison.restart();
    for (const [i, item] of stream.items.entries()) {
      const applied = view.apply(item);
      if (applied.replaced) comparison.restart();
      else comparison.touch(applied.touched);
      if (!walk || !(view.complete || item.kind === "subscribed")) continue;
      for (const seen of differences(stream, i, item, applied.replaced, walk)) report(stream.offset + i, seen);
    }
    if (!stream.ended && truth?.final) {
      for (const seen of finalDifferences(truth.final.users)) report(stream.offset + stream.items.length, seen);
    }
  }
  return violations;

  function* differences(stream: Stream, i: number, item: HeardItem, replaced: boolean, walk: TruthWalk) {
    const unfinished = item.kind === "snapshot" && !replaced;
    if (unfinished || item.kind === "out_of_service") return;
    if (!walk.knows(item.position)) {
      yield `${showItem(item)}, where the channel never was`;
      return;
    }
    comparison.touch(walk.moveTo(item.position));
    if (replaced) comparison.touch(walk.members.keys());
    if (item.kind === "subscribed") {
      yield* occupancyDiffers(item, walk);
      return;
    }
    const level = isLevel(item, stream.items[i + 1]);
    if (level || item.kind === "interval") yield* occupancyDiffers(item, walk);
    if (level || replaced) yield* comparison.compareAll(walk, item.position, replaced);
    else if (item.kind === "state") yield* comparison.compare(item.userId, walk, item.position);
  }

  /** Whether the reader, having applied this, must be level with the channel. */
  function isLevel(item: HeardItem, next: HeardItem | undefined): boolean {
    if (!next || options.gapFree) return true;
    return (item.kind === "snapshot" || item.kind === "interval") && !samePosition(item.position, next.position);
  }

  function* finalDifferences(users: ReadonlyMap<string, Member["states"]>) {
    if (!view.complete) return;
    for (const userId of new Set([...users.keys(), ...view.members.keys()])) {
      if (!comparison.counts(userId)) continue;
      const [held, real] = [view.members.get(userId)?.states, users.get(userId)];
      if (!(held && real ? sameStates(held, real) : held === real)) {
        yield `in the end holds ${userId} as ${show(held)}, the server as ${show(real)}`;
      }
    }
  }
}

function* occupancyDiffers(item: HeardItem, walk: TruthWalk) {
  if ("occupancy" in item && item.occupancy !== walk.members.size) {
    yield `${showItem(item)}, but ${walk.members.size} were present`;
  }
}

/** Compares a view with the truth, looking again only at users that either has touched since. */
class Comparison {
  readonly #history: History;
  readonly #view: View;
  readonly #touched = new Set<string>();

  constructor(history: History, view: View) {
    this.#history = history;
    this.#view = view;
  }

  /** Whether the reader is told of this user. */
  counts(userId: string): boolean {
    return this.#history.includeSelf || userId !== this.#history.userId;
  }

  /** The view was replaced: look at everybody in it. */
  restart(): void {
    this.touch(this.#view.members.keys());
  }

  touch(users: Iterable<string>): void {
    for (const userId of users) this.#touched.add(userId);
  }

  *compareAll(walk: TruthWalk, position: Position, withSelf: boolean): Generator<string> {
    for (const userId of this.#touched) {
      if (withSelf || this.counts(userId)) yield* this.compare(userId, walk, position);
    }
    this.#touched.clear();
  }

  *compare(userId: string, walk: TruthWalk, position: Position): Generator<string> {
    const [held, real] = [this.#view.members.get(userId), walk.members.get(userId)];
    const same = held && real ? held.revision === real.revision && sameStates(held.states, real.states) : held === real;
    if (same) return;
    const seen = `${show(held?.states)} of revision ${held?.revision ?? "none"}`;
    const truth = `${show(real?.states)} of revision ${real?.revision ?? "none"}`;
    yield `at ${showPosition(position)} holds ${userId} as ${seen}, the server as ${truth}`;
  }
}

function show(states: Member["states"] | undefined): string {
  return states ? showStates(states) : "absent";
}
