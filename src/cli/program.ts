import { createRequire } from "node:module";
import { Command } from "commander";
import { EXIT_CODES_HELP } from "./exit_codes.js";
import { feedCommand } from "./feed.js";
import { getCommand } from "./get.js";
import type { Io } from "./io.js";
import { loadCommand } from "./load.js";
import { refuseDoubles } from "./options.js";
import { rmCommand } from "./rm.js";
import { setCommand } from "./set.js";
import { tokenCommand } from "./token.js";
import { watchCommand } from "./watch.js";
import { whereCommand } from "./where.js";
import { whoCommand } from "./who.js";

/**
 * The whole command line. It ends by an error where commander would end the
 * process, so that one place says what went wrong and with which exit code.
 *
 * @param serve the `serve` command, which the caller loads, as a server is much to load for the others.
 */
export function createProgram(io: Io, serve: Command): Command {
  const { version } = createRequire(import.meta.url)("rollcall/package.json") as { version: string };
  const program = new Command("rollcall")
    .description("Who is in a channel, and in what state: a presence service and its client.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .addHelpText(
      "after",
      `
Examples:
  $ rollcall serve
  $ rollcall watch chat_room --user anna
  $ rollcall set chat_room Mode=Happy Mic=False --user tony

Environment:
  ROLLCALL_USER      who you are, instead of --user
  ROLLCALL_ADDRESS   where the server is, instead of --address
  ROLLCALL_TOKEN     a token that shows who you are, instead of --token
  NO_COLOR           no colours, whatever the terminal

An option wins over its variable. A variable that is set must not be empty. Options
that are given twice are refused, unless their help says otherwise.
${EXIT_CODES_HELP}`,
    );
  const commands = [
    serve,
    ...[
      watchCommand,
      setCommand,
      getCommand,
      rmCommand,
      whoCommand,
      whereCommand,
      feedCommand,
      loadCommand,
      tokenCommand,
    ].map((make) => make(io)),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands]) {
    refuseDoubles(command);
    command.exitOverride().configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are printed by whoever runs the program, as one line.
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {},
    });
  }
  return program;
}
