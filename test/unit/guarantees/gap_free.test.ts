import assert from "node:assert/strict";
import { evidenceOf, gapFree } from "../../guarantees/gap_free.js";
import type { HeardItem, Item, ReaderOptions } from "../../guarantees/history.js";
import type { Truth } from "../../guarantees/truth.js";
import {
  at,
  historyOf,
  interval,
  places,
  presence,
  STORY,
  snapshot,
  state,
  storyItems,
  subscribed,
} from "./samples.js";

/** The story's items with one of them, by its place, replaced by any number of others. */
function storyWith(place: number, ...replacement: HeardItem[]): HeardItem[] {
  return [...storyItems()].flatMap((item, i): HeardItem[] => (i === place ? replacement : [item]));
}

function check(items: readonly Item[], options: Partial<ReaderOptions> = {}, truth: Truth = STORY): number[] {
  return places(gapFree(historyOf(items, options), truth));
}

const MINA_ON = { mic: "on" };
const MINA_HAPPY = { changed: ["mode"], removed: ["mic"] };

describe("guarantees: gap_free (S16), with the truth", () => {
  it("accepts each event of others once, with a gap where the reader's own was", () => {
    assert.deepEqual(check(storyItems()), []);
  });

  it("accepts a reader without presence that hears nothing", () => {
    assert.deepEqual(check([subscribed(1)], { withPresence: false }), []);
  });

  it("accepts a stream that ended before the rest happened", () => {
    assert.deepEqual(check([...storyWith(5), { kind: "end" }]), []);
  });

  it("accepts the SNAPSHOT that answers a resume", () => {
    assert.deepEqual(check([{ kind: "begin", resumeFrom: at(2) }, subscribed(6), snapshot(6, ["rosa"])]), []);
  });

  it("names what is missing between two events", () => {
    const history = historyOf(storyWith(3));
    const [violation, ...others] = gapFree(history, STORY);
    assert.deepEqual(others, []);
    assert.equal(violation?.name, "brokeGapFree");
    assert.equal(violation?.index, 4);
    assert.equal(violation?.seen, "missing: state of mina at e1/3 {mic=on}");
  });

  it("names what is missing right after the SNAPSHOT, after a resume, and at the end", () => {
    assert.deepEqual(check(storyWith(2)), [3]);
    assert.deepEqual(check([{ kind: "begin", resumeFrom: at(1) }, ...storyWith(1).slice(2)]), [1]);
    assert.deepEqual(check(storyWith(5)), [6]);
  });

  it("names one's own event as missing where it was asked for", () => {
    assert.deepEqual(check(storyItems(), { includeSelf: true }), [5]);
  });

  it("names what a second SNAPSHOT left out, and not what it did not", () => {
    assert.deepEqual(check([...storyWith(5), snapshot(6, ["rosa"])]), [7 - 1]);
    assert.deepEqual(check([...storyItems(), snapshot(6, ["rosa"])]), []);
    const resumed = [
      { kind: "begin", resumeFrom: at(1) },
      ...storyWith(1).slice(0, 2),
      snapshot(6, ["rosa"]),
    ] as Item[];
    assert.deepEqual(check(resumed), [3]);
  });

  it("names an event that comes again, whatever it says", () => {
    assert.deepEqual(check(storyWith(3, state("mina", 3, MINA_ON), state("mina", 3, MINA_ON))), [5]);
    assert.deepEqual(check(storyWith(3, state("mina", 3, MINA_ON), presence("leave", "mina", 3))), [5]);
  });

  it("names an event that is not what happened", () => {
    assert.deepEqual(check(storyWith(2, presence("join", "tony", 2))), [4 - 1]);
    assert.deepEqual(check(storyWith(5, presence("timeout", "mina", 6))), [6]);
    assert.deepEqual(check(storyWith(3, state("mina", 3, { mic: "off" }))), [4]);
    assert.deepEqual(check(storyWith(3, { ...state("mina", 3, MINA_ON), stateRevision: 2n })), [4]);
    assert.deepEqual(check([...storyItems(), presence("join", "mina", 7)]), [7]);
  });

  it("names wrong lists of changed and removed keys", () => {
    const happy = { mode: "happy" };
    assert.deepEqual(check(storyWith(4, state("mina", 5, happy, { ...MINA_HAPPY, changed: [] }))), [5]);
    assert.deepEqual(check(storyWith(4, state("mina", 5, happy, { ...MINA_HAPPY, removed: [] }))), [5]);
    assert.deepEqual(check(storyWith(4, state("mina", 5, happy, { changed: ["mode", "mic"], removed: ["mic"] }))), [5]);
  });

  it("names an INTERVAL, which tells of no single event", () => {
    assert.deepEqual(check([...storyItems(), interval(6)]), [7]);
  });

  it("names in short what a wild revision leaves out", () => {
    const wild = presence("join", "mina", 2 ** 52);
    const [missing, never] = gapFree(historyOf([subscribed(1), snapshot(1, ["rosa"]), wild]), STORY);
    assert.match(missing?.seen ?? "", /^missing: join of mina at e1\/2, state of mina .*, …$/);
    assert.match(never?.seen ?? "", /never happened$/);
  });
});

describe("guarantees: gap_free (S16), without the truth", () => {
  const rosa = historyOf(storyItems());
  /** Somebody who heard rosa's own change, and mina's last one. */
  const tony = historyOf(
    [
      subscribed(3),
      snapshot(3, ["rosa", "mina", "tony"]),
      state("rosa", 4, { mood: "fine" }),
      state("mina", 5, { mode: "happy" }, MINA_HAPPY),
      presence("leave", "mina", 6),
    ],
    { userId: "tony" },
  );

  it("accepts a gap that another reader heard as the reader's own", () => {
    assert.deepEqual(gapFree(rosa, undefined, evidenceOf([rosa, tony])), []);
  });

  it("names a gap that nobody heard", () => {
    const [violation] = gapFree(rosa, undefined, evidenceOf([rosa]));
    assert.equal(violation?.index, 5);
    assert.equal(violation?.seen, "missing: e1/4 (nobody heard whose)");
  });

  it("names a gap that another reader heard as somebody else's", () => {
    const deaf = historyOf(storyWith(4));
    assert.deepEqual(places(gapFree(deaf, undefined, evidenceOf([deaf, tony]))), [5]);
  });

  it("names an event that another reader heard otherwise", () => {
    const wrong = historyOf(storyWith(4, state("mina", 5, { mode: "sad" }, MINA_HAPPY)));
    assert.deepEqual(places(gapFree(wrong, undefined, evidenceOf([tony, wrong]))), [5]);
  });
});
