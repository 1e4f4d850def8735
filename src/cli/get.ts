import { Command } from "commander";
import type { Io } from "./io.js";
import { isTerminal, printLine } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions } from "./options.js";
import { formatPair, jsonLine, sortedPairs } from "./printable.js";
import { withPresence } from "./session.js";

/** `rollcall get CHANNEL USER`: prints a user's state (S13). */
export function getCommand(io: Io): Command {
  const command = new Command("get")
    .description("print a user's state in a channel")
    .argument("<channel>", "the channel's name")
    .argument("<user>", "whose state")
    .addHelpText(
      "after",
      `
Prints one KEY=VALUE per line. What is not one plain word is quoted, and invisible
characters are shown by their code; --json has the exact values, and the revision for "set --expect".

Examples:
  $ rollcall get chat_room tony
  $ rollcall get chat_room tony --json | jq -r .states.Mode`,
    )
    .action(async (channel: string, user: string, flags: ChannelFlags) => {
      await withPresence(io, flags, async ({ presence, deadline }) => {
        const room = presence.channel(channel, { type: flags.type });
        const state = await room.getState(user, { signal: deadline() });
        if (flags.json) return printLine(io, jsonLine(state));
        const pairs = sortedPairs(state.states);
        for (const [key, value] of pairs) printLine(io, formatPair(key, value));
        if (pairs.length === 0 && isTerminal(io)) printLine(io, "(no state)");
      });
    });
  return addChannelOptions(command);
}
