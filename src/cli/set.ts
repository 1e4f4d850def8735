import { Command, Option } from "commander";
import type { StateResult } from "../client/index.js";
import type { Io } from "./io.js";
import { printLine } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions, parsePair, parseRevision } from "./options.js";
import { formatStates, jsonLine, printableName, timeOfDay } from "./printable.js";
import { withPresence } from "./session.js";

interface SetFlags extends ChannelFlags {
  readonly replace?: boolean;
  readonly expect?: bigint;
}

/** `rollcall set CHANNEL KEY=VALUE…`: sets keys of one's own state (S9). */
export function setCommand(io: Io): Command {
  const command = new Command("set")
    .description("set keys of your own state in a channel")
    .argument("<channel>", "the channel's name")
    .argument("<key=value...>", "as many pairs as you like", parsePair)
    .option("--replace", "make this the whole state, instead of adding to it")
    .addOption(new Option("--expect <revision>", "only if the state's revision is this one").argParser(parseRevision))
    .addHelpText(
      "after",
      `
A state set before joining takes effect when you join. The answer says when it is
forgotten if you do not (see "rollcall serve --pending-ttl").

Examples:
  $ rollcall set chat_room Mode=Happy Mic=False
  $ rollcall set chat_room --user tony --replace "Mood=so so"
  $ rollcall set chat_room Score=12 --expect 13945651200004   # only if nobody changed it since`,
    )
    .action(async (channel: string, states: Record<string, string>, flags: SetFlags) => {
      await withPresence(io, flags, async ({ presence, deadline }) => {
        const options = { replace: flags.replace, expectedRevision: flags.expect, signal: deadline() };
        const result = await presence.channel(channel, { type: flags.type }).setState(states, options);
        printLine(io, resultLine(result, channel, flags.json));
      });
    });
  return addChannelOptions(command);
}

/** What one's own state is after a change, and whether it waits for the join (S12), in a line. */
export function resultLine(result: StateResult, channel: string, json: boolean | undefined): string {
  if (json) return jsonLine(result);
  const { state, pending } = result;
  const who = printableName(state.userId);
  const where = printableName(channel);
  const pairs = formatStates(state.states);
  const states = pairs || "(no state)";
  if (pending && pairs === "") return `${who} is not in ${where}; nothing is pending`;
  if (!pending) return `${who} in ${where}: ${states} (revision ${state.revision})`;
  const { pendingExpireTime } = result;
  const until = pendingExpireTime ? `, forgotten at ${timeOfDay(pendingExpireTime)}` : "";
  return `${who} is not in ${where}; pending until ${who} joins${until}: ${states}`;
}
