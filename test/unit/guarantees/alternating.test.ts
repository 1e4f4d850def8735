import assert from "node:assert/strict";
import { alternating } from "../../guarantees/alternating.js";
import type { Item } from "../../guarantees/history.js";
import {
  at,
  historyOf,
  interval,
  places,
  presence,
  record,
  STORY,
  snapshot,
  state,
  storyItems,
  subscribed,
} from "./samples.js";

const OPENING = [subscribed(1), snapshot(1, ["rosa", "mina"])];
/** Positions within the history of the items that follow the opening. */
const AFTER = 3;

function check(...items: Item[]): number[] {
  return places(alternating(historyOf([...OPENING, ...items]))).map((index) => index - AFTER);
}

describe("guarantees: alternating (S16)", () => {
  it("accepts joins and leaves in turn", () => {
    assert.deepEqual(alternating(historyOf(storyItems())), []);
    assert.deepEqual(
      check(
        presence("timeout", "mina", 2),
        presence("join", "mina", 3),
        state("mina", 4, {}),
        presence("leave", "mina", 5),
      ),
      [],
    );
  });

  it("accepts an INTERVAL in which a user goes, comes and changes, and one's own user in it", () => {
    const back = { left: ["mina"], joined: ["mina", "rosa"], changed: [record("mina", { mic: "on" }, 4)] };
    assert.deepEqual(check(interval(4, back), interval(6, { timedOut: ["mina"], left: ["rosa"] })), []);
  });

  it("accepts what a later SNAPSHOT changed", () => {
    assert.deepEqual(
      check(snapshot(5, ["rosa", "tony"]), presence("leave", "tony", 6), presence("join", "mina", 7)),
      [],
    );
  });

  it("forgets at a later SNAPSHOT what came before it", () => {
    const back = snapshot(5, ["rosa", "mina"]);
    assert.deepEqual(check(presence("leave", "mina", 2), back, presence("timeout", "mina", 6)), []);
    assert.deepEqual(check(presence("leave", "mina", 2), back, presence("join", "mina", 6)), [2]);
  });

  it("accepts, resumed from where nobody knows who was there, any first event of a user", () => {
    const begin = { kind: "begin", resumeFrom: at(4) } as const;
    const items = [presence("leave", "mina", 5), presence("join", "tony", 6), state("eve", 7, {})];
    assert.deepEqual(alternating(historyOf([begin, subscribed(4), ...items])), []);
  });

  it("names two joins in a row, and a join of one from the SNAPSHOT", () => {
    const violations = alternating(historyOf([...OPENING, presence("join", "mina", 2)]));
    assert.deepEqual(places(violations), [AFTER]);
    assert.equal(violations[0]?.name, "brokeAlternating");
    assert.match(violations[0]?.seen ?? "", /join of mina at e1\/2, who was there already/);
    assert.deepEqual(check(presence("join", "tony", 2), presence("join", "tony", 3)), [1]);
  });

  it("names a leave or a timeout of a user that is not there", () => {
    assert.deepEqual(check(presence("leave", "tony", 2)), [0]);
    assert.deepEqual(check(presence("leave", "mina", 2), presence("timeout", "mina", 3)), [1]);
    assert.deepEqual(check(presence("timeout", "mina", 2), presence("leave", "mina", 3)), [1]);
  });

  it("names a state of a user that is not there", () => {
    assert.deepEqual(check(state("tony", 2, {})), [0]);
    assert.deepEqual(check(presence("leave", "mina", 2), state("mina", 3, {})), [1]);
  });

  it("names each list of an INTERVAL that does not fit", () => {
    assert.deepEqual(check(interval(2, { joined: ["mina"] })), [0]);
    assert.deepEqual(check(interval(2, { left: ["tony"] })), [0]);
    assert.deepEqual(check(interval(2, { timedOut: ["tony"] })), [0]);
    assert.deepEqual(check(interval(2, { changed: [record("tony", {}, 2)] })), [0]);
    assert.deepEqual(check(interval(2, { left: ["mina"], timedOut: ["mina"] })), [0]);
  });

  it("names one's own user where it is heard", () => {
    const history = historyOf([...OPENING, interval(2, { joined: ["rosa"] })], { includeSelf: true });
    assert.deepEqual(places(alternating(history)), [AFTER]);
  });

  it("knows from the truth, or from the stream before, who was there at a resume", () => {
    const begin = { kind: "begin", resumeFrom: at(5) } as const;
    const resumed = [begin, subscribed(5), presence("join", "mina", 6)];
    assert.deepEqual(places(alternating(historyOf(resumed), STORY)), [2]);
    const before = [...OPENING, state("mina", 5, {}), { kind: "end" } as const];
    assert.deepEqual(places(alternating(historyOf([...before, ...resumed]))), [7]);
  });
});
