import assert from "node:assert/strict";
import type { Item, ReaderOptions } from "../../guarantees/history.js";
import { MAX_CHUNK_BYTES, opening } from "../../guarantees/opening.js";
import {
  at,
  historyOf,
  interval,
  outOfService,
  places,
  presence,
  STORY,
  snapshot,
  storyItems,
  subscribed,
} from "./samples.js";

function check(items: readonly Item[], options: Partial<ReaderOptions> = {}): number[] {
  return places(opening(historyOf(items, options), STORY));
}

const chunk = (users: string[], revision = 1) => snapshot(revision, users, { last: false, occupancy: 3 });
const lastChunk = (users: string[], revision = 1) => snapshot(revision, users, { last: true, occupancy: 3 });

describe("guarantees: opening (S15)", () => {
  it("accepts SUBSCRIBED, SNAPSHOT and events", () => {
    assert.deepEqual(check(storyItems()), []);
  });

  it("accepts a SNAPSHOT in chunks of the largest size", () => {
    const full = { ...chunk(["rosa"]), size: MAX_CHUNK_BYTES };
    assert.deepEqual(check([subscribed(1), full, chunk(["mina"]), lastChunk(["tony"])]), []);
  });

  it("accepts SUBSCRIBED alone without presence, events alone after a resume", () => {
    assert.deepEqual(check([subscribed(1)], { withPresence: false }), []);
    assert.deepEqual(check([{ kind: "begin", resumeFrom: at(1) }, subscribed(1)]), []);
    assert.deepEqual(check([{ kind: "begin", resumeFrom: at(1) }, subscribed(1), presence("join", "mina", 2)]), []);
  });

  it("accepts a quiet reader that is in no SNAPSHOT, and an empty one", () => {
    assert.deepEqual(check([subscribed(1), snapshot(1, ["mina"])], { quiet: true }), []);
    assert.deepEqual(check([subscribed(0), snapshot(0, [])], { quiet: true }), []);
  });

  it("accepts an unfinished SNAPSHOT that another position voids, or that the end cuts off", () => {
    assert.deepEqual(check([subscribed(1), chunk(["mina"]), snapshot(9, ["rosa"])]), []);
    assert.deepEqual(check([subscribed(1), chunk(["mina"]), { kind: "end" }]), []);
  });

  it("says nothing of what may still come before all is quiet", () => {
    assert.deepEqual(opening(historyOf([])), []);
    assert.deepEqual(opening(historyOf([subscribed(1), chunk(["rosa"])])), []);
  });

  it("names a stream that does not begin with SUBSCRIBED", () => {
    const violations = opening(historyOf([snapshot(1, ["rosa"]), subscribed(1)]), STORY);
    assert.deepEqual(places(violations), [1, 2]);
    assert.equal(violations[0]?.name, "brokeOpening");
    assert.deepEqual(check([{ ...subscribed(1), sessionId: "" }, snapshot(1, ["rosa"])]), [1]);
  });

  it("names a second SUBSCRIBED", () => {
    assert.deepEqual(check([subscribed(1), snapshot(1, ["rosa"]), subscribed(1)]), [3]);
  });

  it("names SUBSCRIBED or a SNAPSHOT that never came", () => {
    assert.deepEqual(check([]), [1]);
    assert.deepEqual(check([subscribed(1)]), [2]);
    assert.deepEqual(check([subscribed(1), chunk(["rosa"])]), [3]);
  });

  it("names an event before the SNAPSHOT, and one inside it", () => {
    const late = snapshot(3, ["rosa"]);
    assert.deepEqual(check([subscribed(1), presence("join", "mina", 2), late]), [2]);
    assert.deepEqual(check([subscribed(1), interval(2), late]), [2]);
    assert.deepEqual(check([subscribed(1), chunk(["rosa", "mina"]), presence("join", "tony", 2)]), [3]);
  });

  it("names an event that is not later than the SNAPSHOT", () => {
    const items = [subscribed(4), snapshot(4, ["rosa", "mina"])];
    assert.deepEqual(check([...items, presence("leave", "mina", 4)]), [3]);
    assert.deepEqual(check([...items, presence("leave", "mina", 3)]), [3]);
    assert.deepEqual(check([...items, outOfService(4), presence("leave", "mina", 5)]), []);
  });

  it("compares revisions of one epoch only", () => {
    const other = { ...presence("join", "mina", 1), position: { epoch: "e2", revision: 1n } };
    assert.deepEqual(check([subscribed(4), snapshot(4, ["rosa"]), other]), []);
  });

  it("names a chunk that is too large", () => {
    const large = { ...chunk(["rosa"]), size: MAX_CHUNK_BYTES + 1 };
    assert.deepEqual(check([subscribed(1), large, lastChunk(["mina", "tony"])]), [2]);
  });

  it("names a SNAPSHOT that has too few users, one twice, or not the reader", () => {
    assert.deepEqual(check([subscribed(1), lastChunk(["rosa", "mina"])]), [2]);
    assert.deepEqual(check([subscribed(1), chunk(["rosa", "mina"]), lastChunk(["mina", "tony"])]), [3]);
    assert.deepEqual(check([subscribed(1), lastChunk(["mina", "tony", "eve"])]), [2]);
  });

  it("names a chunk that counts otherwise than the first", () => {
    const two = snapshot(1, ["rosa"], { last: false, occupancy: 2 });
    assert.deepEqual(check([subscribed(1), two, lastChunk(["mina", "tony"])]), [3]);
  });

  it("names the last chunk when it comes before another", () => {
    assert.deepEqual(check([subscribed(1), lastChunk(["rosa", "tony"]), chunk(["mina"])]), [2, 4]);
  });

  it("names a SNAPSHOT of another epoch than SUBSCRIBED", () => {
    const other = { ...snapshot(1, ["rosa"]), position: { epoch: "e2", revision: 1n } };
    assert.deepEqual(check([subscribed(1), other]), [2]);
  });
});
