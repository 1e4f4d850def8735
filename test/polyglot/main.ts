import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { Command } from "commander";
import { Checks } from "./checks.js";
import { runExample } from "./example.js";
import { LANGUAGES, ROOT } from "./languages.js";
import { loseStreams } from "./lost_streams.js";
import { play } from "./play.js";
import { Runner } from "./runner.js";
import { readScenario } from "./scenario.js";
import { shortConnectionsOf } from "./short_connections.js";
import { useTools } from "./tools.js";

/** How long stubs and program of one language may take to build, in ms: the first time packages are fetched. */
const BUILD_MS = 15 * 60_000;

const NAMES = Object.keys(LANGUAGES);
const CACHE = path.join(ROOT, "test", "polyglot", ".cache");

function cacheOf(name: string): string {
  return path.join(CACHE, LANGUAGES[name]!.folder);
}

async function run(command: readonly string[], timeout: number): Promise<void> {
  await promisify(execFile)(command[0]!, command.slice(1), { cwd: ROOT, timeout, maxBuffer: 64 * 1024 * 1024 });
}

/** Whether the toolchain is there; says how to get it when it is not. */
async function available(name: string): Promise<boolean> {
  for (const { command, advice } of LANGUAGES[name]!.needs) {
    try {
      await run(command, 60_000);
    } catch {
      console.log(`skipped  ${name}: \`${command.join(" ")}\` does not work here; ${advice}`);
      return false;
    }
  }
  return true;
}

/** Makes the stubs and the program; says what went wrong when it does not work. */
async function built(name: string): Promise<boolean> {
  const cache = cacheOf(name);
  mkdirSync(cache, { recursive: true });
  try {
    for (const command of LANGUAGES[name]!.build(cache)) await run(command, BUILD_MS);
    return true;
  } catch (error) {
    const { stderr = "", stdout = "", message } = error as { stderr?: string; stdout?: string; message: string };
    console.log(`FAILED   ${name} does not build: ${message}\n${stdout}${stderr}`);
    return false;
  }
}

function start(name: string): Runner {
  return new Runner(name, LANGUAGES[name]!.run(cacheOf(name)), ROOT);
}

/** Every pair of languages once, each of them acting in some and watching in others. */
function pairsOf(names: readonly string[]): [string, string][] {
  return names.flatMap((a, i) => names.slice(i + 1).map((b, j): [string, string] => (j % 2 === 0 ? [a, b] : [b, a])));
}

async function main(wanted: readonly string[]): Promise<boolean> {
  const names: string[] = [];
  let areBuilt = true;
  const checks = new Checks();
  for (const name of wanted) {
    if (!(await available(name))) continue;
    if (await built(name)) names.push(name);
    else areBuilt = false;
  }
  const scenario = readScenario();
  const runners = new Map(names.map((name) => [name, start(name)]));
  // Alone, a language plays with itself.
  const double = names.length === 1 ? start(names[0]!) : undefined;
  const pairs: [string, string][] = double ? [[names[0]!, names[0]!]] : pairsOf(names);
  try {
    for (const name of names) {
      const example = LANGUAGES[name]!.example?.(cacheOf(name));
      if (example) await checks.check(`${name}'s example comes back unnoticed`, () => runExample(example, ROOT));
    }
    for (const [name, runner] of runners) {
      await checks.check(`${name} opens 30 connections in a row`, () => shortConnectionsOf(runner));
    }
    await checks.check("lost streams end as documented", () => loseStreams(runners));
    for (const [actor, watcher] of pairs) {
      await checks.check(`${actor} acts, ${watcher} watches`, () =>
        play(scenario, runners.get(actor)!, double ?? runners.get(watcher)!),
      );
    }
  } finally {
    await Promise.all([...runners.values(), ...(double ? [double] : [])].map((runner) => runner.stop()));
  }
  const steps = scenario.reduce((sum, chapter) => sum + chapter.steps.length, 0);
  console.log(`${pairs.length} pairs played ${steps} steps each, with ${names.join(", ") || "no language at all"}`);
  return areBuilt && checks.passed && names.length > 0;
}

const { args } = new Command("npm run test:polyglot")
  .description("Plays test/polyglot/scenario.yaml with clients in several languages, two at a time.")
  .argument("[language...]", `which ones: ${NAMES.join(", ")}; or the beginning of a name. Default: all`)
  .parse();
const wanted = NAMES.filter((name) => args.length === 0 || args.some((arg) => name.startsWith(arg)));
const unknown = args.filter((arg) => !NAMES.some((name) => name.startsWith(arg)));
if (unknown.length > 0) {
  console.error(`no such language: ${unknown.join(", ")}; there are ${NAMES.join(", ")}`);
  process.exitCode = 2;
} else {
  const played = await main(wanted);
  // The tools belong to no language: they are used when none was asked for.
  const used = args.length > 0 || (await useTools(path.join(CACHE, "tools")));
  process.exitCode = played && used ? 0 : 1;
}
