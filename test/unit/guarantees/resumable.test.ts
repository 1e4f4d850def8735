import assert from "node:assert/strict";
import type { BeginItem, Item } from "../../guarantees/history.js";
import { resumable } from "../../guarantees/resumable.js";
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

const [FIRST, SECOND, JOIN, ON, HAPPY, LEAVE] = storyItems();
const END = { kind: "end" } as const;

function resume(revision: number, expect?: BeginItem["expect"]): BeginItem {
  return { kind: "begin", resumeFrom: at(revision), expect };
}

function check(...items: Item[]): number[] {
  return places(resumable(historyOf(items), STORY));
}

describe("guarantees: resumable (S16)", () => {
  it("accepts the missed events, once or again and again", () => {
    assert.deepEqual(
      check(FIRST, SECOND, JOIN, END, resume(2), subscribed(2), ON, END, resume(3), subscribed(3), HAPPY),
      [],
    );
    assert.deepEqual(check(FIRST, SECOND, JOIN, ON, END, resume(2, "events"), subscribed(2), ON, HAPPY), []);
    assert.deepEqual(check(resume(3), subscribed(3), HAPPY), []);
  });

  it("accepts that nothing was missed", () => {
    assert.deepEqual(check(...storyItems(), END, resume(6), subscribed(6)), []);
  });

  it("accepts a SNAPSHOT instead, of another epoch too", () => {
    const other = { ...snapshot(1, ["rosa"]), position: { epoch: "e2", revision: 1n } };
    assert.deepEqual(check(FIRST, SECOND, END, resume(1), subscribed(6), snapshot(6, ["rosa"])), []);
    assert.deepEqual(check(FIRST, SECOND, END, resume(1, "snapshot"), { ...other, kind: "snapshot" }), []);
  });

  it("accepts a position that only the reader's own change lies behind", () => {
    assert.deepEqual(check(FIRST, SECOND, JOIN, ON, END, resume(4), subscribed(4), HAPPY), []);
  });

  it("names an event that the reader had already", () => {
    const violations = resumable(historyOf([FIRST, SECOND, JOIN, ON, END, resume(3), subscribed(3), ON, HAPPY]), STORY);
    assert.deepEqual(places(violations), [8]);
    assert.equal(violations[0]?.name, "brokeResumable");
    assert.deepEqual(check(resume(6), subscribed(6), interval(6)), [2]);
  });

  it("names a first event that is not the first one missed, unless the reader is slow", () => {
    const items = [FIRST, SECOND, END, resume(1), subscribed(1), ON];
    assert.deepEqual(check(...items), [6]);
    assert.deepEqual(resumable(historyOf(items), STORY, { gapFree: false }), []);
  });

  it("names events of another epoch", () => {
    const other = { ...presence("join", "mina", 9), position: { epoch: "e2", revision: 9n } };
    assert.deepEqual(check(resume(2), subscribed(2), other), [2]);
  });

  it("names the answer that the test knows to be wrong", () => {
    assert.deepEqual(check(resume(5, "events"), subscribed(6), snapshot(6, ["rosa"])), [2]);
    assert.deepEqual(check(resume(5, "snapshot"), subscribed(5), LEAVE), [2]);
  });

  it("names a resume that skips an event which never came", () => {
    assert.deepEqual(check(FIRST, SECOND, JOIN, END, resume(3), subscribed(3), HAPPY), [5]);
    assert.deepEqual(check(resume(1), subscribed(3), END, resume(3), subscribed(3), HAPPY), [3]);
  });

  it("names a resume by a reader that holds nothing", () => {
    assert.deepEqual(check(FIRST, END, resume(1), subscribed(1), JOIN), [3]);
    assert.deepEqual(check(FIRST, SECOND, JOIN, END, { kind: "begin" }, FIRST, END, resume(2), ON), [8]);
  });

  it("asks nothing of ordinary streams, and nothing without presence", () => {
    assert.deepEqual(check(state("mina", 3, {}), END, { kind: "begin" }, state("mina", 2, {})), []);
    const deaf = historyOf([FIRST, END, resume(1), subscribed(1)], { withPresence: false });
    assert.deepEqual(resumable(deaf, STORY), []);
  });
});
