import assert from "node:assert/strict";
import fc from "fast-check";
import { checkGuarantees, findViolations } from "../../guarantees/check.js";
import { createHistory, type History } from "../../guarantees/history.js";
import { changesHeardBy } from "../../guarantees/truth.js";
import { showItem } from "../../guarantees/violation.js";
import { ALL_ALTERATIONS, choices, mutate } from "./mutations.js";
import { intervalReader, perfectReader, type Scene, scenes, slowReader } from "./simulated.js";

const KEPT_UP = { gapFree: true };
const NOT_KEPT_UP = { gapFree: false };

const steps = fc.integer({ min: 1, max: 8 });

/** A scene in which every broken stream is resumed: what a cut stream had not sent yet would be no fault. */
const unbroken = scenes.map((scene) => ({ ...scene, cuts: scene.cuts.map((cut) => ({ ...cut, resumes: true })) }));

function caught(history: History, scene: Scene, options: typeof KEPT_UP, what: string): void {
  if (findViolations([history], scene.truth, options).length > 0) return;
  const items = history.items.map((item, i) => `${i}: ${showItem(item)}`);
  assert.fail(`not caught: ${what} of\n${items.join("\n")}`);
}

describe("guarantees: simulated readers, as a property", () => {
  it("accept a reader that keeps up, breaks off, resumes and subscribes again", () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        checkGuarantees([perfectReader(scene)], scene.truth, KEPT_UP);
        checkGuarantees([perfectReader(scene)], scene.truth, NOT_KEPT_UP);
      }),
      { numRuns: 300 },
    );
  });

  it("accept readers that keep up by what a monitor heard, or by what they heard together", () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const whole = { ...scene, subscribedAt: 0, cuts: [] };
        const monitor = perfectReader({ ...whole, reader: { userId: "monitor", quiet: true, includeSelf: true } });
        const reader = perfectReader(scene);
        checkGuarantees([monitor, reader], { changes: changesHeardBy(monitor), final: scene.truth.final }, KEPT_UP);
        checkGuarantees([monitor, reader], undefined, KEPT_UP);
      }),
      { numRuns: 100 },
    );
  });

  it("accept a reader in a large channel, and a slow one", () => {
    fc.assert(
      fc.property(scenes, steps, (scene, step) => {
        checkGuarantees([intervalReader(scene, step), slowReader(scene, step)], scene.truth, NOT_KEPT_UP);
      }),
      { numRuns: 300 },
    );
  });

  it("catch any one event dropped, duplicated, swapped or altered", () => {
    fc.assert(
      fc.property(unbroken, choices(["drop", "duplicate", "swap", "alter"]), (scene, choice) => {
        const mutation = mutate(perfectReader(scene), choice);
        fc.pre(mutation !== undefined);
        caught(mutation.history, scene, KEPT_UP, mutation.what);
      }),
      { numRuns: 1000 },
    );
  });

  it("catch any one fault in INTERVALs but a merger of two", () => {
    const hearing = unbroken.map((scene) => ({ ...scene, reader: { ...scene.reader, includeSelf: true } }));
    // One INTERVAL that is moved to the position of the next looks like a part of it, and does no harm.
    const alterations = ALL_ALTERATIONS.filter((alteration) => alteration !== "revision + 1");
    fc.assert(
      fc.property(hearing, steps, choices(["duplicate", "swap", "alter"], alterations), (scene, step, choice) => {
        const mutation = mutate(intervalReader(scene, step), choice);
        fc.pre(mutation !== undefined);
        caught(mutation.history, scene, NOT_KEPT_UP, mutation.what);
      }),
      { numRuns: 500 },
    );
  });

  it("say nothing of a reader that was never subscribed", () => {
    checkGuarantees([createHistory({ userId: "rosa" })], undefined, KEPT_UP);
  });
});
