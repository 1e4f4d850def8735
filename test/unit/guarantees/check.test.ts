import assert from "node:assert/strict";
import { checkGuarantees, findViolations } from "../../guarantees/check.js";
import { change, historyOf, interval, presence, STORY, snapshot, storyItems, subscribed } from "./samples.js";

const KEPT_UP = { gapFree: true };

describe("guarantees: checkGuarantees", () => {
  it("accepts a good history, with and without the truth", () => {
    checkGuarantees([historyOf(storyItems())], STORY, KEPT_UP);
    checkGuarantees([historyOf(storyItems())], undefined, { gapFree: false });
    checkGuarantees([], undefined, KEPT_UP);
  });

  it("throws a report that names promise, reader, place, and what came before", () => {
    const [first, second, join, on, , leave] = storyItems();
    const bad = historyOf([first, second, join, on, leave], { name: "rosa on the train" });
    assert.throws(() => checkGuarantees([historyOf(storyItems()), bad], STORY, KEPT_UP), {
      name: "AssertionError",
      message: [
        "1 violations of the guarantees, 1 of 2 readers concerned:",
        "brokeGapFree: reader rosa on the train, item 5: missing: state of mina at e1/5 {mode=happy}",
        "    2: SNAPSHOT at e1/1 of 1/1 [rosa], last",
        "    3: join of mina at e1/2, occupancy 2",
        "    4: state of mina at e1/3 {mic=on}",
        "    5: leave of mina at e1/6, occupancy 1",
      ].join("\n"),
    });
  });

  it("names the first ten violations and counts the rest", () => {
    const joins = Array.from({ length: 13 }, (_, i) => presence("join", "rosa", 2 + i));
    const history = historyOf([subscribed(1), snapshot(1, ["rosa"]), ...joins]);
    assert.throws(
      () => checkGuarantees([history], undefined, { gapFree: false }),
      (error: Error) =>
        /^13 violations/.test(error.message) &&
        error.message.match(/brokeAudience: /g)?.length === 10 &&
        /… and 3 more$/.test(error.message),
    );
  });

  it("asks for single events only where the readers kept up", () => {
    const items = [subscribed(1), snapshot(1, ["rosa"]), interval(6, { occupancy: 1 })];
    checkGuarantees([historyOf(items)], STORY, { gapFree: false });
    assert.throws(() => checkGuarantees([historyOf(items)], STORY, KEPT_UP), /brokeGapFree/);
  });

  it("runs every validator", () => {
    const [first, second, join, on, happy, leave] = storyItems();
    const names = (items: Parameters<typeof historyOf>[0], truth = STORY) =>
      findViolations([historyOf(items)], truth, KEPT_UP).map((violation) => violation.name);
    const seen = new Set([
      ...names([second, first, join, on, happy, leave, leave, on, presence("join", "rosa", 9)]),
      ...names([{ kind: "begin", resumeFrom: { epoch: "e1", revision: 2n } }, subscribed(2), happy]),
      ...names([], { changes: [change(0, "join", "rosa")] }),
    ]);
    assert.deepEqual([...seen].sort(), [
      "brokeAlternating",
      "brokeAudience",
      "brokeCommitted",
      "brokeConvergent",
      "brokeGapFree",
      "brokeOpening",
      "brokeOrdered",
      "brokeResumable",
      "brokeUnique",
    ]);
  });

  it("hears what the readers heard together where the truth is unknown", () => {
    const tony = historyOf([...storyItems()], { userId: "tony", name: "tony" });
    assert.throws(() => checkGuarantees([historyOf(storyItems())], undefined, KEPT_UP), /nobody heard whose/);
    tony.items.splice(6, 0, { ...storyItems()[3], userId: "rosa", position: { epoch: "e1", revision: 4n } });
    checkGuarantees([historyOf(storyItems())], { changes: STORY.changes }, KEPT_UP);
    const violations = findViolations([historyOf(storyItems()), tony], undefined, KEPT_UP);
    assert.deepEqual(
      violations.filter((violation) => violation.reader === "rosa"),
      [],
    );
  });
});
