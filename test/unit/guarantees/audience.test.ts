import assert from "node:assert/strict";
import { audience } from "../../guarantees/audience.js";
import { historyOf, interval, places, presence, snapshot, state, storyItems, subscribed } from "./samples.js";

const OPENING = [subscribed(1), snapshot(1, ["rosa"])];

describe("guarantees: audience (S6)", () => {
  it("accepts other users' events, and one's own in an INTERVAL", () => {
    assert.deepEqual(audience(historyOf([...storyItems(), interval(9, { joined: ["rosa"] })])), []);
  });

  it("accepts one's own events where they were asked for", () => {
    const items = [...OPENING, state("rosa", 2, { mood: "fine" })];
    assert.deepEqual(audience(historyOf(items, { includeSelf: true })), []);
  });

  it("accepts SUBSCRIBED alone without presence", () => {
    assert.deepEqual(audience(historyOf([subscribed(1)], { withPresence: false })), []);
  });

  it("names one's own event that was not asked for", () => {
    const violations = audience(historyOf([...OPENING, state("rosa", 2, {}), presence("leave", "rosa", 3)]));
    assert.deepEqual(places(violations), [3, 4]);
    assert.equal(violations[0]?.name, "brokeAudience");
  });

  it("names all but SUBSCRIBED without presence", () => {
    const items = [...OPENING, presence("join", "mina", 2)];
    assert.deepEqual(places(audience(historyOf(items, { withPresence: false }))), [2, 3]);
  });

  it("names an event of another channel", () => {
    const stray = { ...presence("join", "mina", 2), channel: "STREAM/chat_room" };
    assert.deepEqual(places(audience(historyOf([...OPENING, stray]))), [3]);
  });
});
