import { Command } from "commander";
import type { Io } from "./io.js";
import { printLine } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions } from "./options.js";
import { withPresence } from "./session.js";
import { resultLine } from "./set.js";

/** `rollcall rm CHANNEL [KEY…]`: removes keys of one's own state, or all of them (S10). */
export function rmCommand(io: Io): Command {
  const command = new Command("rm")
    .description("remove keys of your own state in a channel, or all of them")
    .argument("<channel>", "the channel's name")
    .argument("[keys...]", "which keys; none: all of them")
    .addHelpText(
      "after",
      `
You stay in the channel, with what is left of your state.

Examples:
  $ rollcall rm chat_room Mode Mic
  $ rollcall rm chat_room --user tony`,
    )
    .action(async (channel: string, keys: string[], flags: ChannelFlags) => {
      await withPresence(io, flags, async ({ presence, deadline }) => {
        const room = presence.channel(channel, { type: flags.type });
        const result = await room.removeState(keys, { signal: deadline() });
        printLine(io, resultLine(result, channel, flags.json));
      });
    });
  return addChannelOptions(command);
}
