import { SUBJECTS, type SubjectName } from "../run/subject.js";
import type { Run, Shape, Target } from "../shapes/shape.js";
import { number, type Spread, spreadOf } from "./stats.js";

/** Everything that was seen of a shape. */
export interface Outcome {
  shape: Shape;
  /** Subjects that could be run. */
  subjects: readonly SubjectName[];
  runs: readonly Run[];
  /** What went wrong, sample by sample. */
  failures: readonly string[];
}

/** Rows of text: the first are headings. */
export interface Grid {
  head: string[];
  rows: string[][];
}

/** The figures of a shape: medians, the spread of the first figure, and how rollcall compares in it. */
export function figures({ shape, subjects, runs }: Outcome): Grid {
  const [main, ...others] = shape.columns;
  const compare = subjects.length > 1;
  const several = runs.length > 1;
  const head = [
    "",
    main!.heading,
    ...(several ? ["min–max"] : []),
    ...(compare ? ["rollcall is"] : []),
    ...others.map((c) => c.heading),
  ];
  const rows = subjects.map((subject) => {
    const spread = (key: string) => spreadOf(runs.map((run) => run[subject]?.[key]));
    const first = spread(main!.key);
    const times = spreadOf(runs.map((run) => quotient(run.rollcall?.[main!.key], run[subject]?.[main!.key])));
    return [
      SUBJECTS[subject].label,
      number(first?.median, main!.digits),
      ...(several ? [range(first, main!.digits)] : []),
      ...(compare ? [subject === "rollcall" || times === undefined ? "" : `${number(times.median, 2)} ×`] : []),
      ...others.map((column) => number(spread(column.key)?.median, column.digits)),
    ];
  });
  return { head, rows };
}

function range(spread: Spread | undefined, digits: number): string {
  return spread === undefined ? "–" : `${number(spread.min, digits)}–${number(spread.max, digits)}`;
}

/** The targets of all shapes, and whether they were met. */
export function verdicts(outcomes: readonly Outcome[]): Grid {
  const rows = outcomes.flatMap(({ shape, runs }) =>
    shape.targets.map((target) => {
      const spread = spreadOf(runs.map((run) => target.value(run)));
      return [shape.title, target.text, limit(target), seen(target, spread), verdict(target, spread)];
    }),
  );
  return { head: ["Shape", "Figure", "At most", "Median (min–max)", ""], rows };
}

function limit({ atMost, unit }: Target): string {
  return `${number(atMost, unit === "×" ? 2 : 0)}${pad(unit)}`;
}

function seen({ unit }: Target, spread: Spread | undefined): string {
  if (spread === undefined) return "not measured";
  const digits = unit === "×" ? 2 : 1;
  const all = spread.min === spread.max ? "" : ` (${number(spread.min, digits)}–${number(spread.max, digits)})`;
  return `${number(spread.median, digits)}${pad(unit)}${all}`;
}

function verdict({ atMost, explainedIn }: Target, spread: Spread | undefined): string {
  if (spread === undefined) return "–";
  if (spread.median <= atMost) return "met";
  return explainedIn === undefined ? "not met" : `not met: decision ${explainedIn}`;
}

function pad(unit: string): string {
  return unit === "×" ? " ×" : unit;
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
