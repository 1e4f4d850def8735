import fc from "fast-check";
import type { Engine } from "../../../src/engine/engine.js";
import { property } from "../../support/property.js";
import { largeRevisions } from "../../support/revisions.js";
import { Crowd, rounds } from "./crowd.js";
import { DistantEngine } from "./distant_engine.js";
import { World } from "./world.js";

const rules = fc.record({
  sameUser: fc.constantFrom("multi" as const, "single" as const),
  leaveDebounceMs: fc.constantFrom(0, 0, 1000, 10_000),
});

describe("service: many at the same time, as a property", () => {
  property(
    "S1 to S8, S15 to S17: no stream without a session, no session without an end, and no promise broken",
    [rules, rounds],
    async (rules, rounds) => {
      const crowd = new Crowd(new World({ rules, revisionsOf: largeRevisions }));
      await crowd.together([]);
      for (const { acts, ms } of rounds) await crowd.together(acts, ms);
      await crowd.goHome();
    },
    { runs: 200 },
  );

  property(
    "the same with an engine that is far away, where calls overtake each other",
    [rules, rounds, fc.array(fc.nat(3), { minLength: 1 })],
    async (rules, rounds, delays) => {
      let call = 0;
      const next = (): number => delays[call++ % delays.length]!;
      const wrap = (engine: Engine): Engine => new DistantEngine(engine, next);
      const crowd = new Crowd(new World({ rules, wrap, patience: 30, revisionsOf: largeRevisions }));
      await crowd.together([]);
      for (const { acts, ms } of rounds) await crowd.together(acts, ms);
      await crowd.goHome();
    },
    { runs: 100 },
  );
});
