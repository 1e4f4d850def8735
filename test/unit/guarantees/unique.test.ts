import assert from "node:assert/strict";
import { unique } from "../../guarantees/unique.js";
import {
  at,
  historyOf,
  interval,
  outOfService,
  places,
  presence,
  record,
  snapshot,
  state,
  storyItems,
  subscribed,
} from "./samples.js";

const OPENING = [subscribed(1), snapshot(1, ["rosa"])];

describe("guarantees: unique (S16)", () => {
  it("accepts what never repeats", () => {
    assert.deepEqual(unique(historyOf(storyItems())), []);
  });

  it("accepts a join and a state of one user at one revision", () => {
    assert.deepEqual(unique(historyOf([...OPENING, presence("join", "mina", 4), state("mina", 4, {})])), []);
  });

  it("accepts an INTERVAL in parts", () => {
    const parts = [
      interval(4, { joined: ["mina"] }),
      interval(4, { joined: ["tony"], changed: [record("mina", {}, 3)] }),
    ];
    assert.deepEqual(unique(historyOf([...OPENING, ...parts])), []);
  });

  it("accepts the chunks of a SNAPSHOT, and one repeated after OUT_OF_SERVICE", () => {
    const chunk = snapshot(1, ["mina"], { last: false, occupancy: 2 });
    const items = [subscribed(1), chunk, snapshot(1, ["rosa"]), outOfService(1), snapshot(1, ["rosa"])];
    assert.deepEqual(unique(historyOf(items)), []);
  });

  it("accepts in another stream what a resume asked for again", () => {
    const again = [{ kind: "begin", resumeFrom: at(5) } as const, subscribed(5), presence("leave", "mina", 6, 1)];
    assert.deepEqual(unique(historyOf([...storyItems(), ...again])), []);
  });

  it("names each kind of event that comes twice", () => {
    const twice = [
      presence("join", "mina", 2),
      presence("leave", "mina", 3),
      presence("timeout", "tony", 4),
      state("tony", 5, { mic: "on" }),
      interval(6, { joined: ["mina"] }),
      interval(7),
    ];
    for (const item of twice) {
      const violations = unique(historyOf([...OPENING, item, item]));
      assert.deepEqual(places(violations), [4], item.kind);
      assert.equal(violations[0]?.name, "brokeUnique");
    }
  });

  it("names an event that comes twice with another between them", () => {
    const items = [presence("join", "mina", 4), state("mina", 4, {}), presence("join", "mina", 4)];
    assert.deepEqual(places(unique(historyOf([...OPENING, ...items]))), [5]);
  });

  it("names a user who is twice in one list, or in the same list of two parts", () => {
    assert.deepEqual(places(unique(historyOf([...OPENING, interval(4, { joined: ["mina", "mina"] })]))), [3]);
    const parts = [interval(4, { left: ["mina"] }), interval(4, { left: ["mina", "tony"] })];
    assert.deepEqual(places(unique(historyOf([...OPENING, ...parts]))), [4]);
  });

  it("names a SNAPSHOT that is repeated without a cause", () => {
    assert.deepEqual(places(unique(historyOf([...OPENING, snapshot(1, ["rosa"])]))), [3]);
  });
});
