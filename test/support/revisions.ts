import { revisionsByTime } from "../../src/server/revisions.js";
import type { Clock } from "../../src/time/clock.js";

/** Revisions that read well in a test: 0, 1, 2, … without a repetition. */
export const smallRevisions = (above: number): number => above + 1;

/** Revisions like a server's, the same in each run. */
export const largeRevisions = (clock: Clock) => revisionsByTime(clock, () => 0.5);
