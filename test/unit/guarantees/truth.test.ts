import assert from "node:assert/strict";
import { changesHeardBy, sameStates, TruthWalk } from "../../guarantees/truth.js";
import { at, change, historyOf, STORY, storyItems } from "./samples.js";

describe("guarantees: TruthWalk", () => {
  const walk = () => new TruthWalk(STORY.changes);

  it("holds the members at every position, forward and back", () => {
    const there = walk();
    const membersAt = (revision: number) => {
      there.moveTo(at(revision));
      return Object.fromEntries(
        [...there.members].map(([userId, member]) => [userId, [member.states, member.revision]]),
      );
    };
    assert.deepEqual(membersAt(2), { rosa: [{}, 0n], mina: [{}, 0n] });
    assert.deepEqual(membersAt(5), { rosa: [{ mood: "fine" }, 4n], mina: [{ mode: "happy" }, 5n] });
    assert.deepEqual(membersAt(6), { rosa: [{ mood: "fine" }, 4n] });
    assert.deepEqual(membersAt(3), { rosa: [{}, 0n], mina: [{ mic: "on" }, 3n] });
    assert.deepEqual(membersAt(0), {});
  });

  it("tells who was touched on the way, and everybody when it begins again", () => {
    const there = walk();
    assert.deepEqual([...there.moveTo(at(3))].sort(), ["mina", "rosa"]);
    assert.deepEqual([...there.moveTo(at(4))], ["rosa"]);
    assert.deepEqual([...there.moveTo(at(4))], []);
    assert.deepEqual([...there.moveTo(at(1))].sort(), ["mina", "rosa"]);
  });

  it("keeps epochs apart", () => {
    const second = { ...change(1, "join", "tony"), position: { epoch: "e2", revision: 90n } };
    const there = new TruthWalk([...STORY.changes, second]);
    there.moveTo(at(6));
    there.moveTo(second.position);
    assert.deepEqual([...there.members.keys()], ["tony"]);
    there.moveTo(at(2));
    assert.deepEqual([...there.members.keys()], ["rosa", "mina"]);
    assert.equal(there.changeAt(second.position), second);
  });

  it("knows where the channel was", () => {
    assert.ok(walk().knows(at(6)));
    assert.ok(walk().knows(at(0)));
    assert.ok(!walk().knows(at(7)));
    const later = new TruthWalk([change(50, "join", "rosa"), change(51, "leave", "rosa")]);
    assert.deepEqual(
      [48, 49, 51, 52].map((revision) => later.knows(at(revision))),
      [false, true, true, false],
    );
  });

  it("knows an epoch without changes at one position", () => {
    const there = walk();
    assert.ok(there.knows({ epoch: "e2", revision: 70n }));
    assert.ok(there.knows({ epoch: "e2", revision: 70n }));
    assert.ok(!there.knows({ epoch: "e2", revision: 71n }));
  });

  it("gives the changes between two revisions, without the first and with the last", () => {
    const revisions = (after: bigint, upTo: bigint) =>
      walk()
        .between("e1", after, upTo)
        .map((one) => Number(one.position.revision));
    assert.deepEqual(revisions(2n, 4n), [3, 4]);
    assert.deepEqual(revisions(4n, 4n), []);
    assert.deepEqual(revisions(4n, 2n), []);
    assert.deepEqual(revisions(5n, 2n ** 60n), [6]);
  });
});

describe("guarantees: changesHeardBy", () => {
  it("takes single events as the changes that they stand for", () => {
    const others = STORY.changes.filter((one) => one.userId === "mina");
    assert.deepEqual(changesHeardBy(historyOf(storyItems())), others);
  });
});

describe("guarantees: sameStates", () => {
  it("compares pairs and not their order", () => {
    assert.ok(sameStates({}, {}));
    assert.ok(sameStates({ a: "1", b: "" }, { b: "", a: "1" }));
    assert.ok(!sameStates({ a: "1" }, { a: "2" }));
    assert.ok(!sameStates({ a: "1" }, { b: "1" }));
    assert.ok(!sameStates({ a: "1" }, { a: "1", b: "2" }));
    assert.ok(!sameStates({ a: "1", b: "2" }, { a: "1" }));
  });
});
