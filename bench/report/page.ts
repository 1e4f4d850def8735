import type { Scale } from "../run/lab.js";
import { machine } from "./machine.js";
import { figures, type Grid, type Outcome, verdicts } from "./outcome.js";

/** What the page says of how it was made. */
export interface PageFacts {
  command: string;
  runs: number;
  scale: Scale;
  /** Subjects that could not be run, and why. */
  missing: readonly string[];
}

/** The results as a page in Markdown. */
export function resultsPage(outcomes: readonly Outcome[], { command, runs, scale, missing }: PageFacts): string {
  const lines = [
    "# Results of the bench",
    "",
    `Written by \`${command}\` on ${new Date().toISOString().slice(0, 10)}. Do not edit: run it again. What the shapes and`,
    "the columns mean stands in [README.md](README.md).",
    "",
    ...(scale.quick ? ["**A quick run: short samples and smaller shapes. The figures are rough.**", ""] : []),
    ...markdown({ head: ["", ""], rows: machine() }),
    "",
    `Medians of ${times(runs)}, or of as many as a shape says. In each run every server has a fresh process of its own;`,
    "the readers live in another. A ratio compares two servers within a run, and the median is taken of the ratios.",
    ...missing.map((reason) => `\nNot run: ${reason}.`),
    "",
    "## Figures to reach",
    "",
    ...markdown(verdicts(outcomes)),
    "",
    "Why a figure was not met, and what was tried, stands in the [decision](../docs/decisions) of that number.",
  ];
  for (const outcome of outcomes) {
    const { shape, failures } = outcome;
    lines.push("", `## ${shape.title}`, "");
    lines.push(`\`--only ${shape.name}\`, ${times(outcome.runs.length)}: ${shape.about(scale)}`, "");
    lines.push(...markdown(figures(outcome)));
    lines.push(...failures.map((failure) => `\n**Failed:** ${failure}`));
  }
  return `${lines.join("\n")}\n`;
}

function times(runs: number): string {
  return runs === 1 ? "1 run" : `${runs} runs`;
}

function markdown({ head, rows }: Grid): string[] {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}
