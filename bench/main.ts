import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Outcome } from "./report/outcome.js";
import { resultsPage } from "./report/page.js";
import { terminalReport } from "./report/terminal.js";
import { Children } from "./run/children.js";
import { Lab, type Scale } from "./run/lab.js";
import { showProgress } from "./run/progress.js";
import { runShape, runsOf, subjectsOf } from "./run/run_shape.js";
import { SUBJECTS } from "./run/subject.js";
import { SHAPES } from "./shapes/all.js";

interface Flags {
  quick?: boolean;
  only?: string[];
  runs?: number;
  out?: string;
  cpuProf?: string;
}

const FULL: Scale = { quick: false, warmSeconds: 0.7, seconds: 1.5 };
const QUICK: Scale = { quick: true, warmSeconds: 0.1, seconds: 0.2 };
const FULL_RUNS = 5;
const PAGE = fileURLToPath(new URL("RESULTS.md", import.meta.url));

function flagsFrom(argv: string[]): Flags {
  const names = SHAPES.map((shape) => shape.name);
  return new Command("npm run bench --")
    .description("Measures rollcall against other ways to tell many readers of a change. See bench/README.md.")
    .option("--quick", "most of it in under a minute: one run, short samples, smaller shapes; figures are rough")
    .addOption(new Option("--only <shape...>", "run these shapes alone").choices(names))
    .option(
      "--runs <n>",
      `how often each sample is repeated; the median counts (default ${FULL_RUNS}, quick: 1)`,
      count,
    )
    .option("--out <file>", "write the results page there (default bench/RESULTS.md after a full run, else nowhere)")
    .option("--cpu-prof <dir>", "write a CPU profile of every rollcall server into this directory")
    .parse(argv)
    .opts<Flags>();
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("It must be a whole number from 1 on.");
  return value;
}

async function main(): Promise<void> {
  const flags = flagsFrom(process.argv);
  const scale = flags.quick ? QUICK : FULL;
  const runs = flags.runs ?? (flags.quick ? 1 : FULL_RUNS);
  const shapes = SHAPES.filter(({ name, quick }) =>
    flags.only ? flags.only.includes(name) : !flags.quick || quick.length > 0,
  );
  const out = flags.out ?? (flags.quick || flags.only ? undefined : PAGE);
  if (flags.cpuProf !== undefined) mkdirSync(flags.cpuProf, { recursive: true });

  const wanted = new Set(shapes.flatMap((shape) => shape.subjects));
  const missing = [...wanted].map((name) => SUBJECTS[name].missing()).filter((reason) => reason !== undefined);
  const samples = shapes.map((shape) => runsOf(shape, runs) * subjectsOf(shape, scale.quick).length);
  const progress = showProgress(samples.reduce((sum, n) => sum + n, 0));
  for (const reason of missing) progress.note(`Not run: ${reason}.`);

  const lab = new Lab(new Children(), scale, flags.cpuProf === undefined ? undefined : resolve(flags.cpuProf));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));

  const outcomes: Outcome[] = [];
  for (const shape of shapes) outcomes.push(await runShape(shape, lab, runs, progress));
  await lab.close();
  progress.stop();

  console.log(terminalReport(outcomes));
  const args = process.argv.slice(2);
  const command = args.length === 0 ? "npm run bench" : `npm run bench -- ${args.join(" ")}`;
  if (out !== undefined) {
    writeFileSync(out, resultsPage(outcomes, { command, runs, scale, missing }));
    console.log(`\nWritten: ${out}`);
  }
  if (outcomes.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
}

await main();
