import assert from "node:assert/strict";
import { lastLeave } from "../../guarantees/last_leave.js";
import type { Move } from "../../guarantees/lives.js";
import { noFlaps } from "../../guarantees/no_flaps.js";
import { noGhosts } from "../../guarantees/no_ghosts.js";

const move = (kind: Move["kind"], userId: string, at: number): Move => ({ kind, userId, at });

describe("validator: no ghosts", () => {
  const endings = [{ userId: "tony", at: 100 }];

  it("accepts one timeout within the bound, whatever was before", () => {
    const moves = [move("join", "tony", 0), move("timeout", "tony", 50), move("join", "tony", 60)];
    assert.deepEqual(noGhosts(endings, [...moves, move("timeout", "tony", 300)], 200), []);
  });

  it("accepts that the user is back, and ends again", () => {
    const moves = [move("timeout", "tony", 150), move("join", "tony", 160), move("timeout", "tony", 400)];
    assert.deepEqual(noGhosts([...endings, { userId: "tony", at: 390 }], moves, 200), []);
  });

  it("names one who is still there, one who went late, and one who went twice", () => {
    assert.match(noGhosts(endings, [move("timeout", "anna", 150)], 200).join(), /tony .*still there/);
    assert.match(noGhosts(endings, [move("timeout", "tony", 301)], 200).join(), /201 ms.*200 are allowed/);
    const twice = [move("timeout", "tony", 150), move("timeout", "tony", 160)];
    assert.match(noGhosts(endings, twice, 200).join(), /twice/);
  });
});

describe("validator: no flaps", () => {
  const absences = [{ userId: "tony", from: 100, to: 200 }];

  it("accepts what others do, and what the user did before and long after", () => {
    const moves = [move("join", "tony", 50), move("leave", "anna", 150), move("leave", "tony", 301)];
    assert.deepEqual(noFlaps(absences, moves, 100), []);
  });

  for (const kind of ["join", "leave", "timeout"] as const) {
    it(`names a ${kind} during the absence, and in the grace after it`, () => {
      assert.match(noFlaps(absences, [move(kind, "tony", 150)], 100).join(), new RegExp(`tony: a ${kind} .* 50 ms`));
      assert.equal(noFlaps(absences, [move(kind, "tony", 299)], 100).length, 1);
    });
  }
});

describe("validator: first join, last leave", () => {
  it("accepts one join and one end for each stay", () => {
    const moves = [move("join", "tony", 0), move("leave", "tony", 5), move("join", "tony", 6), move("join", "anna", 7)];
    const stays = [{ userId: "tony", to: 5 }, { userId: "tony" }, { userId: "anna" }];
    assert.deepEqual(lastLeave(stays, moves), []);
  });

  it("names joins and ends that are too many, too few, or of nobody known", () => {
    const stay = { userId: "tony", to: 9 };
    assert.match(lastLeave([stay], [move("join", "tony", 0)]).join(), /0 leaves and timeouts for 1/);
    const doubled = [move("join", "tony", 0), move("leave", "tony", 5), move("leave", "tony", 9)];
    assert.match(lastLeave([stay], doubled).join(), /2 leaves and timeouts for 1/);
    assert.match(lastLeave([], [move("join", "ghost", 0)]).join(), /ghost: 1 joins for 0/);
  });
});
