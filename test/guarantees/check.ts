import { AssertionError } from "node:assert/strict";
import { alternating } from "./alternating.js";
import { audience } from "./audience.js";
import { committed } from "./committed.js";
import { convergent } from "./convergent.js";
import { evidenceOf, gapFree } from "./gap_free.js";
import type { History } from "./history.js";
import { opening } from "./opening.js";
import { ordered } from "./ordered.js";
import { resumable } from "./resumable.js";
import type { Truth } from "./truth.js";
import { unique } from "./unique.js";
import { showItem, type Violation } from "./violation.js";

/** What may be asked of these readers. */
export interface CheckOptions {
  /**
   * Whether all of them kept up and the channel stayed in announce mode, so that every single event must have
   * arrived (S16). False for slow readers and large channels (S16a, S18): everything else is still checked.
   */
  readonly gapFree: boolean;
}

/** Violations that a report names in full; there may be thousands of the same kind. */
const MOST_REPORTED = 10;
/** Items that a report shows before the one where a violation showed. */
const ITEMS_BEFORE = 3;

/** Everything in which these readers' histories break S15, S16 or S6; first what is wrong with the truth itself. */
export function findViolations(
  histories: readonly History[],
  truth: Truth | undefined,
  options: CheckOptions,
): Violation[] {
  const violations = histories.flatMap(examine(histories, truth, options));
  return truth ? [...committed(truth), ...violations] : violations;
}

/**
 * Throws an AssertionError when any history breaks what a stream promises (S15, S16, S6), with the first
 * violations and what was heard just before each. `truth` is what the test knows of the server's side; the more of
 * it, the sharper the check.
 */
export function checkGuarantees(histories: readonly History[], truth: Truth | undefined, options: CheckOptions): void {
  const lines = truth ? committed(truth).map(headline) : [];
  const examined = histories.map(examine(histories, truth, options));
  for (const [i, violations] of examined.entries()) {
    for (const violation of violations)
      lines.push([headline(violation), ...context(violation, histories[i]!)].join("\n"));
  }
  if (lines.length === 0) return;
  const readers = examined.filter((violations) => violations.length > 0).length;
  const rest = lines.length - MOST_REPORTED;
  const message = [
    `${lines.length} violations of the guarantees, ${readers} of ${histories.length} readers concerned:`,
    ...lines.slice(0, MOST_REPORTED),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
  ].join("\n");
  throw new AssertionError({ message, stackStartFn: checkGuarantees });
}

function examine(histories: readonly History[], truth: Truth | undefined, options: CheckOptions) {
  const evidence = options.gapFree && !truth?.changes ? evidenceOf(histories) : undefined;
  return (history: History): Violation[] => [
    ...opening(history, truth),
    ...audience(history),
    ...ordered(history),
    ...unique(history),
    ...(options.gapFree ? gapFree(history, truth, evidence) : []),
    ...alternating(history, truth),
    ...resumable(history, truth, options),
    ...convergent(history, truth, options),
  ];
}

function headline({ name, reader, index, seen }: Violation): string {
  return `${name}: reader ${reader}, item ${index}: ${seen}`;
}

function context({ index }: Violation, history: History): string[] {
  const first = Math.max(0, index - ITEMS_BEFORE);
  return history.items.slice(first, index + 1).map((item, i) => `    ${first + i}: ${showItem(item)}`);
}
