import assert from "node:assert/strict";
import { RecentCache } from "../../../src/auth/token_cache.js";

describe("auth: what is remembered", () => {
  it("is bounded, and what was asked for lately stays", () => {
    const cache = new RecentCache<number>(10);
    cache.set("wanted", -1);
    for (let i = 0; i < 1000; i++) {
      cache.set(String(i), i);
      assert.equal(cache.get("wanted"), -1);
      assert.equal(cache.get(String(i)), i);
      assert.ok(cache.size <= 10);
    }
    assert.equal(cache.get("0"), undefined);
  });

  it("forgets what it is told to, whatever its age", () => {
    const cache = new RecentCache<string>(4);
    cache.set("a", "a");
    cache.set("b", "b");
    cache.set("c", "c");
    for (const key of ["a", "c"]) {
      cache.delete(key);
      assert.equal(cache.get(key), undefined);
    }
    assert.equal(cache.get("b"), "b");
  });
});
