import assert from "node:assert/strict";
import { ordered } from "../../guarantees/ordered.js";
import {
  at,
  historyOf,
  interval,
  outOfService,
  places,
  presence,
  snapshot,
  state,
  storyItems,
  subscribed,
} from "./samples.js";

/** The same item in another epoch. */
function inEpoch<T extends { position: { revision: bigint } }>(epoch: string, item: T): T {
  return { ...item, position: { epoch, revision: item.position.revision } };
}

describe("guarantees: ordered (S16)", () => {
  it("accepts revisions that grow, with gaps", () => {
    assert.deepEqual(ordered(historyOf(storyItems())), []);
  });

  it("accepts a join and a state of one revision, as a slow reader gets them", () => {
    const items = [subscribed(1), snapshot(1, ["rosa"]), presence("join", "mina", 4), state("mina", 4, {})];
    assert.deepEqual(ordered(historyOf(items)), []);
  });

  it("accepts a new epoch that begins with a SNAPSHOT, above the one before", () => {
    const items = [subscribed(7), snapshot(7, ["rosa"]), outOfService(7), inEpoch("e2", snapshot(20, ["rosa"]))];
    assert.deepEqual(ordered(historyOf(items)), []);
  });

  it("accepts the past where a resume asked for it", () => {
    const items = [
      ...storyItems(),
      { kind: "end" } as const,
      { kind: "begin", resumeFrom: at(3) } as const,
      subscribed(3),
      state("mina", 5, { mode: "happy" }),
    ];
    assert.deepEqual(ordered(historyOf(items)), []);
  });

  it("names a new epoch that does not begin above the one before", () => {
    for (const revision of [2, 7]) {
      const items = [
        subscribed(7),
        snapshot(7, ["rosa"]),
        outOfService(7),
        inEpoch("e2", snapshot(revision, ["rosa"])),
      ];
      assert.deepEqual(places(ordered(historyOf(items))), [4]);
    }
  });

  it("names an event that goes back", () => {
    const [first, second, join, early, late, leave] = storyItems();
    const violations = ordered(historyOf([first, second, join, late, early, leave]));
    assert.deepEqual(places(violations), [5]);
    assert.equal(violations[0]?.name, "brokeOrdered");
    assert.equal(violations[0]?.reader, "rosa");
    assert.match(violations[0]?.seen ?? "", /state of mina at e1\/3 .* came after e1\/5/);
  });

  it("names a SNAPSHOT and an INTERVAL that go back", () => {
    assert.deepEqual(places(ordered(historyOf([subscribed(5), snapshot(4, ["rosa"])]))), [2]);
    assert.deepEqual(places(ordered(historyOf([subscribed(5), snapshot(5, ["rosa"]), interval(4)]))), [3]);
  });

  it("names a SUBSCRIBED that is ahead of the events of a resumed stream", () => {
    const items = [{ kind: "begin", resumeFrom: at(2) } as const, subscribed(5), state("mina", 3, {})];
    assert.deepEqual(places(ordered(historyOf(items))), [2]);
  });

  it("names a later stream that begins before what was heard", () => {
    const again = [{ kind: "end" } as const, { kind: "begin" } as const, subscribed(4), snapshot(4, ["rosa"])];
    assert.deepEqual(places(ordered(historyOf([...storyItems(), ...again]))), [9, 10]);
  });

  it("names a SNAPSHOT of the past that answers a resume", () => {
    const again = [{ kind: "begin", resumeFrom: at(3) } as const, subscribed(4), snapshot(4, ["rosa"])];
    assert.deepEqual(places(ordered(historyOf([...storyItems(), ...again]))), [9]);
  });

  it("names what comes before the position that it resumes from", () => {
    assert.deepEqual(places(ordered(historyOf([{ kind: "begin", resumeFrom: at(3) }, subscribed(2)]))), [1]);
  });

  it("names another epoch that begins without a SNAPSHOT", () => {
    const items = [subscribed(1), snapshot(1, ["rosa"]), inEpoch("e2", presence("join", "mina", 2))];
    assert.deepEqual(places(ordered(historyOf(items))), [3]);
  });

  it("names an epoch that comes back", () => {
    const items = [subscribed(1), snapshot(1, ["rosa"]), inEpoch("e2", snapshot(2, ["rosa"])), snapshot(8, ["rosa"])];
    assert.deepEqual(places(ordered(historyOf(items))), [4]);
  });
});
