import { Command } from "commander";
import { unknownVariables } from "./environment.js";
import { EXIT_CODES } from "./exit_codes.js";
import { reportOf } from "./failure.js";
import type { Io } from "./io.js";
import { jsonLine, printable } from "./printable.js";
import { createProgram } from "./program.js";

/**
 * Runs one command line, given without the program's name. Says what went wrong
 * on stderr, in one line, and returns the exit code.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const json = args.includes("--json");
  for (const message of await unknownVariables(io.env)) {
    io.stderr.write(`${json ? jsonLine({ warning: { message } }) : `rollcall: warning: ${printable(message)}`}\n`);
  }
  try {
    await createProgram(io, await loadServe(args)).parseAsync(args, { from: "user" });
    return EXIT_CODES.ok;
  } catch (error) {
    const { exitCode, line } = reportOf(error, json);
    if (line !== undefined) io.stderr.write(`${line}\n`);
    return exitCode;
  }
}

/** The server is loaded only where the word occurs; elsewhere its name in the help is enough. */
async function loadServe(args: readonly string[]): Promise<Command> {
  if (!args.includes("serve")) return new Command("serve").description("start a server");
  const { serveCommand } = await import("./serve.js");
  return serveCommand();
}
