import assert from "node:assert/strict";
import { randomEpochs } from "../../../src/server/epochs.js";

describe("server: epochs", () => {
  it("are short, all different, and tell nothing of each other", () => {
    const epochs = Array.from({ length: 5000 }, randomEpochs());
    assert.equal(new Set(epochs).size, epochs.length);
    assert.ok(epochs.every((epoch) => /^[\w-]{12}$/.test(epoch)));
    // By chance, 12 characters of 64 are the same as those of the epoch before at 0.19 places.
    const places = epochs.slice(1).map((epoch, i) => [...epoch].filter((char, at) => char === epochs[i]![at]).length);
    const mean = places.reduce((sum, count) => sum + count, 0) / places.length;
    assert.ok(mean > 0.1 && mean < 0.3, `${mean} places in common`);
  });
});
