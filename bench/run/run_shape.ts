import type { Outcome } from "../report/outcome.js";
import type { Run, Shape } from "../shapes/shape.js";
import type { Lab } from "./lab.js";
import type { Progress } from "./progress.js";
import { SUBJECTS, type SubjectName } from "./subject.js";

/** The subjects of a shape that can be run here, at this scale. */
export function subjectsOf(shape: Shape, quick: boolean): readonly SubjectName[] {
  const wanted = quick && shape.quick.length > 0 ? shape.quick : shape.subjects;
  return wanted.filter((name) => SUBJECTS[name].missing() === undefined);
}

/** How many times a shape is run when `asked` runs are wanted. */
export function runsOf(shape: Shape, asked: number): number {
  return Math.min(asked, shape.mostRuns ?? asked);
}

/**
 * Measures a shape. Each run goes through all subjects before the next begins, so that whatever else the machine does
 * meanwhile meets them alike. A sample that fails is left out and reported.
 */
export async function runShape(shape: Shape, lab: Lab, asked: number, progress: Progress): Promise<Outcome> {
  const subjects = subjectsOf(shape, lab.scale.quick);
  const runs: Run[] = [];
  const failures: string[] = [];
  for (let i = 0; i < runsOf(shape, asked); i++) {
    const run: Run = {};
    for (const subject of subjects) {
      progress.begin(`${shape.name}, ${SUBJECTS[subject].label}`);
      try {
        run[subject] = await shape.measure(subject, lab);
      } catch (error) {
        const failure = `${SUBJECTS[subject].label}, run ${i + 1}: ${(error as Error).message}`;
        failures.push(failure);
        progress.note(`FAILED ${shape.name}, ${failure}`);
      }
      progress.done();
    }
    runs.push(run);
  }
  return { shape, subjects, runs, failures };
}
