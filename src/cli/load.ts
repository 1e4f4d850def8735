import { randomBytes } from "node:crypto";
import { Command, InvalidArgumentError, Option } from "commander";
import { CommandFailure } from "./failure.js";
import type { Io } from "./io.js";
import { colorsFor, printLine } from "./io.js";
import { loadLines, reportOfLoad } from "./load_report.js";
import { LoadRun } from "./load_run.js";
import type { ConnectionFlags } from "./options.js";
import { addConnectionOptions, parseDuration } from "./options.js";
import { jsonLine } from "./printable.js";

interface LoadFlags extends ConnectionFlags {
  readonly users: number;
  readonly channels: number;
  readonly connections?: number;
  readonly rate: number;
  readonly for: number;
}

/** More users than this would rather need several processes. */
const MAX_USERS = 10_000;
const MAX_RATE = 100_000;
const DEFAULT_CONNECTIONS = 100;

/** `rollcall load`: lets many users join, change their state and hear each other, and says how it went. */
export function loadCommand(io: Io): Command {
  const count = (name: string, help: string, most: number): Option =>
    new Option(`--${name} <n>`, help).argParser((text) => parseCount(text, most));
  const command = new Command("load")
    .description("put a load on a server: many users who join, change their state, and hear each other")
    .addOption(count("users", "how many users, each with a stream", MAX_USERS).default(100))
    .addOption(count("channels", "how many channels they share", MAX_USERS).default(1))
    .addOption(new Option("--rate <n>", "updates per second, of all users together").default(100).argParser(parseRate))
    .addOption(new Option("--for <time>", "how long: 10s, 1m").default(10_000, "10s").argParser(parseDuration))
    .addOption(
      count(
        "connections",
        `connections that the users share (default: one each, ${DEFAULT_CONNECTIONS} at most)`,
        MAX_USERS,
      ),
    )
    .addHelpText(
      "after",
      `
The users are named after --user (default: load- and a random word), the channels
too, so nobody else is disturbed. In the end, and at Ctrl-C, everybody leaves.
Latency is the time from a SetState call to its event in another user's stream.

Examples:
  $ rollcall load --users 1000 --channels 10 --rate 200 --for 30s
  $ rollcall load --users 50 --json | jq .latency.p99`,
    )
    .action((flags: LoadFlags) => load(io, flags));
  return addConnectionOptions(command);
}

async function load(io: Io, flags: LoadFlags): Promise<void> {
  const { users, channels, address } = flags;
  if (channels > users)
    throw new InvalidArgumentError(`--channels ${channels} is more than --users ${users}: some would be empty.`);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  const stopListening = io.onInterrupt(interrupt);
  io.stdoutClosed.addEventListener("abort", interrupt);
  const { progressBar, noProgress } = await import("./load_progress.js");
  const progress = io.stderr.isTTY && io.env.TERM !== "dumb" ? progressBar(io) : noProgress;
  const run = new LoadRun({
    address,
    token: flags.token,
    prefix: flags.user ?? `load-${randomBytes(3).toString("hex")}`,
    users,
    channels,
    connections: Math.min(users, flags.connections ?? DEFAULT_CONNECTIONS),
    rate: flags.rate,
    durationMs: flags.for,
    timeoutMs: flags.timeout,
  });
  let seconds = 0;
  try {
    await run.join(progress, stop.signal);
    if (!stop.signal.aborted) seconds = await run.update(progress, stop.signal);
  } catch (error) {
    throw new CommandFailure(error, address);
  } finally {
    await run.leave(progress);
    progress.end();
    io.stdoutClosed.removeEventListener("abort", interrupt);
    stopListening();
  }
  const report = reportOfLoad(flags, seconds, run.tally);
  if (flags.json) return printLine(io, jsonLine(report));
  for (const line of loadLines(report, colorsFor(io))) printLine(io, line);
}

function parseCount(text: string, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > most) {
    throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
  }
  return value;
}

function parseRate(text: string): number {
  const value = Number(text);
  if (!/^\d+(?:\.\d+)?$/.test(text) || value <= 0 || value > MAX_RATE) {
    throw new InvalidArgumentError(`Give a number above 0 and up to ${MAX_RATE}.`);
  }
  return value;
}
