import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";

interface Flags {
  readonly seed?: number;
  readonly minutes?: number;
  readonly only?: string[];
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("A number from 0 on.");
  return value;
}

const { seed, minutes, only } = new Command("npm run test:faults --")
  .description("Puts faults into real clients, servers and networks, and checks every promise of docs/guarantees.md.")
  .option("--seed <n>", "replay the random faults of a run that failed", number)
  .option("--minutes <n>", "how long the random faults go on (default 0.25)", number)
  .option("--only <name...>", "these files alone: devices, flaps, ghosts, restart, slow_reader, soak, storm")
  .parse()
  .opts<Flags>();

const files = only?.map((name) => `test/faults/${name}.faults.ts`) ?? ["test/faults/**/*.faults.ts"];
const mocha = spawn("npx", ["mocha", ...files, "--timeout", "600000"], {
  cwd: ROOT,
  stdio: "inherit",
  env: {
    ...process.env,
    ...(seed !== undefined && { ROLLCALL_FAULTS_SEED: String(seed) }),
    ...(minutes !== undefined && { ROLLCALL_FAULTS_MINUTES: String(minutes) }),
  },
});
mocha.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
