import assert from "node:assert/strict";
import { streamsOf } from "../../guarantees/streams.js";
import { at, historyOf, presence, subscribed } from "./samples.js";

const BEGIN = { kind: "begin" } as const;
const END = { kind: "end" } as const;

describe("guarantees: streamsOf", () => {
  it("parts a history at its begins and ends", () => {
    const resume = { kind: "begin", resumeFrom: at(2) } as const;
    const items = [BEGIN, subscribed(1), END, BEGIN, resume, subscribed(2), presence("join", "mina", 3)];
    assert.deepEqual(streamsOf(historyOf(items)), [
      { begin: BEGIN, offset: 1, items: [items[1]], ended: true },
      { begin: BEGIN, offset: 4, items: [], ended: true },
      { begin: resume, offset: 5, items: [items[5], items[6]], ended: false },
    ]);
  });

  it("refuses what lies outside of a stream", () => {
    assert.throws(() => streamsOf(historyOf([BEGIN, END, subscribed(1)])), /item 2 \(subscribed\) lies outside/);
    assert.throws(() => streamsOf(historyOf([BEGIN, END, END])), /item 2 \(end\) lies outside/);
    const headless = { ...historyOf([]), items: [subscribed(1)] };
    assert.throws(() => streamsOf(headless), /item 0 \(subscribed\) lies outside/);
  });
});
