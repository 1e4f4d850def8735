import { Command } from "commander";
import type { Io } from "./io.js";
import { colorsFor, isTerminal, printLine } from "./io.js";
import type { ConnectionFlags } from "./options.js";
import { addConnectionOptions } from "./options.js";
import { formatStates, jsonLine, printableName } from "./printable.js";
import { withPresence } from "./session.js";

/** `rollcall where USER`: lists the channels where a user is present (S19). */
export function whereCommand(io: Io): Command {
  const command = new Command("where")
    .description("list the channels where a user is")
    .argument("<user>", "which user")
    .addHelpText(
      "after",
      `
One channel per line: its type, its name, and the user's state there.

Examples:
  $ rollcall where tony
  $ rollcall where tony --json | jq -r .channel.name`,
    )
    .action(async (user: string, flags: ConnectionFlags) => {
      await withPresence(io, flags, async ({ presence, deadline }) => {
        const { bold, dim } = colorsFor(io);
        let count = 0;
        for await (const { channel, state } of presence.channelsOf(user, { pageSize: 1000, signal: deadline() })) {
          count += 1;
          const states = formatStates(state.states);
          const line = `${channel.type.padEnd(7)}  ${bold(printableName(channel.name))}${states && `  ${states}`}`;
          printLine(io, flags.json ? jsonLine({ channel, state }) : line);
        }
        if (count === 0 && !flags.json && isTerminal(io)) printLine(io, dim(`${printableName(user)} is nowhere`));
      });
    });
  return addConnectionOptions(command);
}
