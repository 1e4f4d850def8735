import { Command, Option } from "commander";
import type { Io } from "./io.js";
import { colorsFor, isTerminal, printLine } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions, parsePair, repeatable } from "./options.js";
import { formatStates, jsonLine, printableName } from "./printable.js";
import { withPresence } from "./session.js";

interface WhoFlags extends ChannelFlags {
  readonly count?: boolean;
  readonly states?: boolean;
  readonly filter?: Record<string, string>;
  readonly userId?: string[];
}

/** `rollcall who CHANNEL`: lists who is present, without joining (S19). */
export function whoCommand(io: Io): Command {
  const command = new Command("who")
    .description("list who is in a channel")
    .argument("<channel>", "the channel's name")
    .addOption(new Option("-c, --count", "print only how many there are").conflicts("states"))
    .option("-s, --states", "print their states too")
    .addOption(
      repeatable(
        new Option(
          "-f, --filter <key=value>",
          "only users with this in their state; may be given several times",
        ).argParser(parsePair),
      ),
    )
    .option("-i, --user-id <id...>", "only these users, those of them who are there, in this order")
    .addHelpText(
      "after",
      `
One user per line, in the order in which they joined. Does not join the channel.

Examples:
  $ rollcall who chat_room --states
  $ rollcall who chat_room --count
  $ rollcall who chat_room --filter Mic=True --filter Mode=Happy
  $ rollcall who chat_room --user-id anna tony     # which of these are there
  $ rollcall who chat_room --json --states | jq -r '.states.Mood'`,
    )
    .action(async (channel: string, flags: WhoFlags) => {
      await withPresence(io, flags, async ({ presence, deadline }) => {
        const room = presence.channel(channel, { type: flags.type });
        const asked = { userIds: flags.userId, states: flags.filter };
        if (flags.count) {
          const count = await room.count({ ...asked, signal: deadline() });
          return printLine(io, flags.json ? jsonLine({ count }) : `${count}`);
        }
        const { bold, dim } = colorsFor(io);
        let count = 0;
        for await (const user of room.onlineUsers({
          ...asked,
          includeStates: flags.states,
          pageSize: 1000,
          signal: deadline(),
        })) {
          count += 1;
          if (flags.json) {
            const { userId, joinTime } = user;
            printLine(io, jsonLine(flags.states ? user : { userId, joinTime }));
          } else {
            const states = formatStates(user.states);
            printLine(io, bold(printableName(user.userId)) + (states && `  ${states}`));
          }
        }
        if (flags.json || !isTerminal(io)) return;
        const nobody = flags.userId || flags.filter ? "none of these is in" : "nobody is in";
        printLine(io, dim(count === 0 ? `${nobody} ${printableName(channel)}` : `${count} online`));
      });
    });
  return addChannelOptions(command);
}
