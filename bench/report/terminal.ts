import Table from "cli-table3";
import { figures, type Grid, type Outcome, verdicts } from "./outcome.js";

/** The tables of a finished bench, for the terminal. */
export function terminalReport(outcomes: readonly Outcome[]): string {
  const parts = outcomes.map((outcome) => `\n${outcome.shape.title}\n${table(figures(outcome))}`);
  const targets = verdicts(outcomes);
  if (targets.rows.length > 0) parts.push(`\nFigures to reach\n${table(targets)}`);
  return parts.join("\n");
}

const HEADING_WIDTH = 12;
/** Rules between the rows of figures would double the height. */
const NO_RULES = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };

function table({ head, rows }: Grid): string {
  const made = new Table({ head: [], chars: NO_RULES, style: { head: [], border: [], compact: true } });
  made.push(
    head.map((heading) => wrap(heading)),
    head.map(() => ""),
    ...rows,
  );
  return made.toString();
}

/** Breaks a heading into short lines, so that the columns are as narrow as their figures. */
function wrap(heading: string): string {
  const lines: string[] = [];
  for (const word of heading.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < HEADING_WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
