import fc from "fast-check";
import { MAX_CHUNK_BYTES } from "../../../src/fanout/snapshot.js";
import { property } from "../../support/property.js";
import { actions, RandomStage } from "./random_stage.js";

const backlogs = fc.constantFrom(150, 600, 100_000);
const sizes = fc.record({
  maxBacklogBytes: backlogs,
  /** What is round the users takes 1024 of them: a chunk for each user, for two or three, and for all. */
  maxChunkBytes: fc.constantFrom(1025, 1250, MAX_CHUNK_BYTES),
});
/** For messages of one event, of two or three, and of all. */
const messages = fc.constantFrom(1, 300, MAX_CHUNK_BYTES);
const logs = fc.constantFrom({ maxEvents: 1000, maxBytes: 1e6 }, { maxEvents: 5, maxBytes: 1e6 });

/** Ones that a few users cross to and fro, one that never announces anything, one that always does. */
const paces = fc.constantFrom(
  { announceMax: 0, intervalMs: 1000 },
  { announceMax: 2, intervalMs: 1000 },
  { announceMax: 3, intervalMs: 400 },
  { announceMax: 1000, intervalMs: 1000 },
);

describe("fanout: what readers are told, as a property", () => {
  property(
    "S15 S16 S16a every reader's promises hold, however it reads, leaves and resumes",
    [backlogs, messages, logs, actions],
    (maxBacklogBytes, maxMessageBytes, log, course) => {
      const stage = new RandomStage({ maxBacklogBytes, maxMessageBytes }, log);
      for (const action of course) stage.act(action);
      stage.finish();
    },
    { runs: 1000 },
  );

  property(
    "S16 S18 all of them but gap-free hold in intervals, across the switch and while a SNAPSHOT is being built",
    [paces, sizes, logs, actions],
    (pace, sizes, log, course) => {
      const stage = new RandomStage(sizes, log, pace);
      for (const action of course) stage.act(action);
      stage.finish();
    },
    { runs: 2000 },
  );
});
