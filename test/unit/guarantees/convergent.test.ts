import assert from "node:assert/strict";
import { convergent } from "../../guarantees/convergent.js";
import type { HeardItem, Item, ReaderOptions, States } from "../../guarantees/history.js";
import type { Truth } from "../../guarantees/truth.js";
import {
  at,
  change,
  historyOf,
  interval,
  outOfService,
  places,
  presence,
  record,
  STORY,
  snapshot,
  state,
  storyItems,
  subscribed,
} from "./samples.js";

const KEPT_UP = { gapFree: true };
const SLOW = { gapFree: false };

function check(items: readonly Item[], options = KEPT_UP, reader: Partial<ReaderOptions> = {}, truth: Truth = STORY) {
  return places(convergent(historyOf(items, reader), truth, options));
}

/** Everything up to revision 5, where mina is happy and rosa, the reader, fine. */
const LEVEL = snapshot(5, [record("rosa", { mood: "fine" }, 4), record("mina", { mode: "happy" }, 5)]);

describe("guarantees: convergent (S16)", () => {
  it("accepts a reader that holds the truth after every event", () => {
    assert.deepEqual(check(storyItems()), []);
    assert.deepEqual(check([subscribed(5, 2), LEVEL, presence("leave", "mina", 6, 1)]), []);
  });

  it("accepts a SNAPSHOT in chunks, and one that repairs what was missed", () => {
    const chunks = [
      snapshot(5, [record("rosa", { mood: "fine" }, 4)], { last: false, occupancy: 2 }),
      snapshot(5, [record("mina", { mode: "happy" }, 5)], { occupancy: 2 }),
    ];
    assert.deepEqual(
      check([subscribed(1, 1), snapshot(1, ["rosa"]), outOfService(1), ...chunks, presence("leave", "mina", 6, 1)]),
      [],
    );
  });

  it("accepts a reader that hears itself", () => {
    const [first, second, join, on, happy, leave] = storyItems();
    const items = [first, second, join, on, state("rosa", 4, { mood: "fine" }), happy, leave];
    assert.deepEqual(check(items, KEPT_UP, { includeSelf: true }), []);
  });

  it("accepts INTERVALs, in parts too", () => {
    const items = [
      subscribed(1, 1),
      snapshot(1, ["rosa"]),
      interval(5, { joined: ["mina"] }),
      interval(5, { changed: [record("mina", { mode: "happy" }, 5)] }),
      interval(6, { left: ["mina"], occupancy: 1 }),
    ];
    assert.deepEqual(check(items, SLOW), []);
  });

  it("accepts a slow reader that got what it missed collapsed and not in the order of the channel", () => {
    const tony = [
      ...STORY.changes!,
      change(7, "join", "mina"),
      change(8, "join", "tony"),
      change(9, "state", "mina", { mic: "on" }),
    ];
    const items = [
      subscribed(1, 1),
      snapshot(1, ["rosa"]),
      presence("join", "tony", 8),
      presence("join", "mina", 9),
      state("mina", 9, { mic: "on" }),
    ];
    const reader = historyOf(items.map((item) => ({ ...item, occupancy: item.position.revision > 1n ? 3 : 1 })));
    assert.deepEqual(convergent(reader, { changes: tony }, SLOW), []);
    assert.deepEqual(places(convergent(reader, { changes: tony }, KEPT_UP)), [3, 4]);
  });

  it("accepts a resumed stream that goes on from what was held, or from where the truth knows", () => {
    const [first, second, join, on, happy, leave] = storyItems();
    const resume = { kind: "begin", resumeFrom: at(3) } as const;
    assert.deepEqual(check([first, second, join, on, resume, subscribed(3, 2), happy, leave]), []);
    assert.deepEqual(check([resume, subscribed(3, 2), happy, leave]), []);
  });

  it("names an occupancy of a resumed stream that is not that of its position", () => {
    const [first, second, join, on, happy, leave] = storyItems();
    const resume = { kind: "begin", resumeFrom: at(3) } as const;
    assert.deepEqual(check([first, second, join, on, resume, subscribed(3, 1), happy, leave]), [6]);
  });

  it("names a state that is not the server's", () => {
    const [first, second, join, on, , leave] = storyItems();
    const history = historyOf([first, second, join, on, state("mina", 5, { mode: "sad" }), leave]);
    const [violation, ...others] = convergent(history, STORY);
    assert.deepEqual(others, []);
    assert.equal(violation?.name, "brokeConvergent");
    assert.equal(violation?.index, 5);
    assert.equal(
      violation?.seen,
      "at e1/5 holds mina as {mode=sad} of revision 5, the server as {mode=happy} of revision 5",
    );
    assert.deepEqual(places(convergent(history, STORY, SLOW)), [5]);
  });

  it("names a SNAPSHOT with a wrong state, a wrong revision, one user more, one less, or a wrong self", () => {
    const wrong = [
      snapshot(5, [record("rosa", { mood: "fine" }, 4), record("mina", { mode: "sad" }, 5)]),
      snapshot(5, [record("rosa", { mood: "fine" }, 4), record("mina", { mode: "happy" }, 3)]),
      snapshot(5, [...LEVEL.users, record("tony", {}, 0)], { occupancy: 2 }),
      snapshot(5, [record("rosa", { mood: "fine" }, 4)], { occupancy: 2 }),
      snapshot(5, [record("rosa", { mood: "sad" }, 4), record("mina", { mode: "happy" }, 5)]),
    ];
    for (const options of [KEPT_UP, SLOW]) {
      for (const [i, item] of wrong.entries()) {
        const cut = [subscribed(5, 2), item, { kind: "end" } as const];
        assert.deepEqual(check(cut, options), [2], `${i}`);
      }
    }
  });

  it("names who is missing in a second SNAPSHOT", () => {
    const second = snapshot(5, [record("rosa", { mood: "fine" }, 4)], { occupancy: 2 });
    assert.deepEqual(check([subscribed(5, 2), LEVEL, outOfService(5), second, { kind: "end" }]), [4]);
  });

  it("names what an INTERVAL left out", () => {
    const lacking: HeardItem[] = [interval(5, { joined: ["mina"] }), interval(6, { left: ["mina"], occupancy: 1 })];
    assert.deepEqual(check([subscribed(1, 1), snapshot(1, ["rosa"]), ...lacking], SLOW), [3]);
  });

  it("names what a slow reader does not hold where its stream ends", () => {
    const items = [subscribed(1, 1), snapshot(1, ["rosa"]), presence("join", "mina", 2), state("tony", 5, {})];
    assert.deepEqual(check([...items, { kind: "end" }], SLOW), [4, 4]);
  });

  it("names a state of a slow reader that never was", () => {
    const items = [
      subscribed(1, 1),
      snapshot(1, ["rosa"]),
      state("mina", 3, { mic: "off" }),
      presence("leave", "mina", 6, 1),
    ];
    assert.deepEqual(check(items, SLOW), [3]);
  });

  it("names a wrong occupancy of each kind", () => {
    const [first, second, join, ...rest] = storyItems();
    assert.deepEqual(check([subscribed(1, 2), second, join, ...rest]), [1]);
    assert.deepEqual(check([first, snapshot(1, ["rosa"], { occupancy: 2 }), join, ...rest]), [2]);
    assert.deepEqual(check([first, second, presence("join", "mina", 2, 3), ...rest]), [3]);
    assert.deepEqual(check([first, second, interval(6, { occupancy: 2 })], SLOW), [3]);
    assert.deepEqual(check([first, second, interval(6, { occupancy: 2 }), interval(6, { occupancy: 1 })], SLOW), [3]);
  });

  it("names a position where the channel never was", () => {
    assert.deepEqual(check([subscribed(9, 1), snapshot(9, ["rosa"]), { kind: "end" }]), [1, 2]);
    const other = { ...snapshot(1, ["rosa"]), position: { epoch: "e2", revision: 1n } };
    assert.deepEqual(check([subscribed(1, 1), other, { kind: "end" }]), [2, 2]);
  });

  it("names what an open reader does not hold in the end, and nothing of one that went", () => {
    const final: Truth = {
      final: {
        users: new Map<string, States>([
          ["rosa", {}],
          ["tony", { mic: "on" }],
        ]),
      },
    };
    const items = [subscribed(1, 1), snapshot(1, ["rosa", "mina", record("tony", { mic: "off" }, 1)])];
    assert.deepEqual(check(items, SLOW, {}, final), [3, 3]);
    assert.deepEqual(check([...items, { kind: "end" }], SLOW, {}, final), []);
  });
});
