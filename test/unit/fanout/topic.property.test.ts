import fc from "fast-check";
import { property } from "../../support/property.js";
import { actions, RandomStage } from "./random_stage.js";

const backlogs = fc.constantFrom(150, 600, 100_000);
const logs = fc.constantFrom({ maxEvents: 1000, maxBytes: 1e6 }, { maxEvents: 5, maxBytes: 1e6 });

describe("fanout: what readers are told, as a property", () => {
  property(
    "S15 S16 S16a every reader's promises hold, however it reads, leaves and resumes",
    [backlogs, logs, actions],
    (maxBacklogBytes, log, course) => {
      const stage = new RandomStage(maxBacklogBytes, log);
      for (const action of course) stage.act(action);
      stage.finish();
    },
    { runs: 1000 },
  );
});
