import { MemoryEngine } from "../../src/engine/memory.js";
import { revisionsByTime } from "../../src/server/revisions.js";
import { ManualClock } from "../support/manual_clock.js";
import { engineSuite } from "./suite.js";

engineSuite("memory", (options) => {
  const clock = new ManualClock();
  let epochs = 0;
  const engine = new MemoryEngine({
    ...options,
    clock,
    newEpoch: () => `epoch ${++epochs}`,
    newRevision: revisionsByTime(clock),
  });
  return { engine, pass: (ms) => clock.advance(ms) };
});
