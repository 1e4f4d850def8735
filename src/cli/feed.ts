import { Command, InvalidArgumentError, Option } from "commander";
import type { ChannelType, FeedEvent, Reconnecting } from "../client/index.js";
import { lostLine, lostObject } from "./event_lines.js";
import { feedLines } from "./feed_lines.js";
import { follow } from "./follow.js";
import { colorsFor, type Io, printLine } from "./io.js";
import { addConnectionOptions, type ConnectionFlags } from "./options.js";
import { jsonLine } from "./printable.js";
import { withPresence } from "./session.js";

interface FeedFlags extends ConnectionFlags {
  readonly prefix?: string;
  readonly channel?: string[];
  readonly type: ChannelType;
  readonly snapshot?: boolean;
}

/** `rollcall feed`: prints what happens in many channels, without being in any, until Ctrl-C. */
export function feedCommand(io: Io): Command {
  const command = new Command("feed")
    .description("see what happens in many channels, without being in any")
    .option("-p, --prefix <prefix>", "channels of either type whose names begin so")
    .option("-c, --channel <names...>", "these channels; neither these nor a prefix: all channels")
    .addOption(
      new Option("-t, --type <type>", "the type of --channel").choices(["message", "stream"]).default("message"),
    )
    .option("--snapshot", "begin with who is in each occupied channel")
    .addHelpText(
      "after",
      `
A line per event: time, channel, user, and what happened. "occupied" is a channel's
first user, "vacated" the departure of its last one. A lost connection is made again;
events that happened meanwhile are missed, and --snapshot shows each occupied channel
again. Needs the right to watch channels. Ctrl-C ends it. With --json the last line
says why it ended: kind "closed", with reason, message and exitCode.

Examples:
  $ rollcall feed
  $ rollcall feed --prefix game_ --snapshot
  $ rollcall feed --channel chat_room lobby --json | jq -c 'select(.kind == "vacated").channel.name'`,
    )
    .action((flags: FeedFlags) => {
      if (command.getOptionValueSource("type") === "cli" && !flags.channel) {
        throw new InvalidArgumentError("--type is the type of --channel, which is missing");
      }
      return feed(io, flags);
    });
  return addConnectionOptions(command);
}

async function feed(io: Io, flags: FeedFlags): Promise<void> {
  const colors = colorsFor(io);
  const show = (event: FeedEvent): void => {
    for (const line of flags.json ? [jsonLine(event)] : feedLines(event, colors)) printLine(io, line);
  };
  const lost = (status: Reconnecting): void =>
    printLine(io, flags.json ? jsonLine(lostObject(status)) : lostLine(status, colors));
  await withPresence(io, flags, async ({ presence }) => {
    const channels = flags.channel?.map((name) => ({ type: flags.type, name }));
    const { prefix, snapshot: withSnapshot } = flags;
    await follow(io, {
      timeoutMs: flags.timeout,
      json: flags.json ?? false,
      endedElsewhere: "the server ended the stream",
      open: (options) => presence.watchChannels({ channels, prefix, withSnapshot, ...options }),
      show,
      lost,
      end: () => {},
    });
  });
}
