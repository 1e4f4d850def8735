import { allChannelsTests } from "./all_channels.js";
import { commitTests } from "./commit.js";
import type { MakeEngine } from "./fixture.js";
import { forgettingTests } from "./forgetting.js";
import { historyTests } from "./history.js";
import { indexTests } from "./indexes.js";
import { listingTests } from "./listing.js";
import { usageTests } from "./usage.js";

/**
 * What every engine must do, as tests of mocha. An engine's own file calls this once:
 *
 *     engineSuite("memory", (options) => …);
 */
export function engineSuite(name: string, makeEngine: MakeEngine): void {
  describe(`engine: ${name}`, () => {
    commitTests(makeEngine);
    listingTests(makeEngine);
    historyTests(makeEngine);
    allChannelsTests(makeEngine);
    indexTests(makeEngine);
    forgettingTests(makeEngine);
    usageTests(makeEngine);
  });
}
