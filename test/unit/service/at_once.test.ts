import assert from "node:assert/strict";
import { allOf, andThen } from "../../../src/service/at_once.js";

describe("service: answers that may be there already", () => {
  it("are used at once if they are there, and otherwise when they come", async () => {
    assert.equal(
      andThen(20, (n) => n + 1),
      21,
    );
    const later = andThen(Promise.resolve(20), (n) => n + 1);
    assert.ok(later instanceof Promise);
    assert.equal(await later, 21);
  });

  it("are gathered at once if all are there, and otherwise when the last one comes", async () => {
    assert.deepEqual(allOf([1, 2]), [1, 2]);
    const later = allOf([1, Promise.resolve(2)]);
    assert.ok(later instanceof Promise);
    assert.deepEqual(await later, [1, 2]);
    await assert.rejects(Promise.resolve(allOf([1, Promise.reject(new Error("lost"))])), /lost/);
  });
});
