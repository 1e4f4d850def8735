import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";

/** The figures of one sample, by name. NaN where a figure does not apply. */
export type Sample = Record<string, number>;

/** What one run saw of a shape, by subject. Only samples of the same run are compared. */
export type Run = Partial<Record<SubjectName, Sample>>;

/** A figure to show. */
export interface Column {
  key: string;
  heading: string;
  digits: number;
}

/** A figure to reach. */
export interface Target {
  /** What is compared, without the limit. */
  text: string;
  atMost: number;
  unit: string;
  /** The number of the decision that says why the figure is not reached on every machine, where one does. */
  explainedIn?: string;
  /** The figure in one run, or undefined when a subject that it needs was not run. */
  value(run: Run): number | undefined;
}

/** A situation that servers are put into. */
export interface Shape {
  /** For `--only`. */
  name: string;
  title: string;
  /** What happens in it, for the page. */
  about(scale: Scale): string;
  subjects: readonly SubjectName[];
  /** Those of them that a quick run has time for; none: only when the shape is asked for by its name. */
  quick: readonly SubjectName[];
  columns: readonly Column[];
  targets: readonly Target[];
  /** A long shape is run fewer times than asked. */
  mostRuns?: number;
  measure(subject: SubjectName, lab: Lab): Promise<Sample>;
}

/** A target for rollcall's figure as a multiple of another subject's. */
export function ratio(key: string, to: SubjectName, atMost: number, text: string): Target {
  return {
    text,
    atMost,
    unit: "×",
    value: (run) => {
      const [ours, theirs] = [run.rollcall?.[key], run[to]?.[key]];
      return ours === undefined || theirs === undefined ? undefined : ours / theirs;
    },
  };
}

/** A target for a figure made from rollcall's sample alone. */
export function own(text: string, atMost: number, unit: string, figure: (sample: Sample) => number): Target {
  return { text, atMost, unit, value: (run) => (run.rollcall === undefined ? undefined : figure(run.rollcall)) };
}

/** The same target, with the number of the decision that says why it may not be reached. */
export function explained(target: Target, explainedIn: string): Target {
  return { ...target, explainedIn };
}
