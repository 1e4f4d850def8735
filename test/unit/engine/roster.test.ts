import assert from "node:assert/strict";
import fc from "fast-check";
import { Roster } from "../../../src/engine/roster.js";
import { property } from "../../support/property.js";

describe("engine: who is present, in the order of joining", () => {
  const steps = fc.array(
    fc.record({ joins: fc.nat(5), leaves: fc.array(fc.nat(), { maxLength: 6 }), from: fc.nat() }),
    {
      maxLength: 100,
      size: "max",
    },
  );

  property("holds what a plain list would, from any place on", [steps], (steps) => {
    const roster = new Roster<{ userId: string }>();
    let plain: [userId: string, joinRevision: number][] = [];
    let revision = 0;
    for (const { joins, leaves, from } of steps) {
      for (let i = 0; i < joins; i++) {
        revision += 1 + (i % 3);
        roster.add({ userId: `user ${revision}` }, revision);
        plain.push([`user ${revision}`, revision]);
      }
      for (const leave of leaves) {
        const gone = leave % (revision + 2);
        roster.remove(gone);
        plain = plain.filter(([, joined]) => joined !== gone);
      }
      const after = from % (revision + 2);
      assert.deepEqual(
        [...roster.after(after)].map(({ userId }) => userId),
        plain.filter(([, joined]) => joined > after).map(([userId]) => userId),
      );
      assert.deepEqual(
        roster.map(({ userId }) => userId),
        plain.map(([userId]) => userId),
      );
      assert.equal(roster.size, plain.length);
    }
  });
});
