import { Command, Option } from "commander";
import type { ChannelType, FeedEvent } from "../client/index.js";
import { feedLines } from "./feed_lines.js";
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
A line per event: time, channel, user, and what happened. "occupied" and "vacated"
tell of a channel's first user and of its last one's departure. Needs the right to
watch channels; Ctrl-C ends it.

Examples:
  $ rollcall feed
  $ rollcall feed --prefix game_ --snapshot
  $ rollcall feed --channel chat_room lobby --json | jq -c 'select(.kind == "vacated").channel.name'`,
    )
    .action((flags: FeedFlags) => feed(io, flags));
  return addConnectionOptions(command);
}

async function feed(io: Io, flags: FeedFlags): Promise<void> {
  const colors = colorsFor(io);
  const show = (event: FeedEvent): void => {
    for (const line of flags.json ? [jsonLine(event)] : feedLines(event, colors)) printLine(io, line);
  };
  await withPresence(io, flags, async ({ presence }) => {
    // The deadline is for the beginning alone: the stream itself has no end.
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(new DOMException("no answer in time", "TimeoutError")), flags.timeout);
    const channels = flags.channel?.map((name) => ({ type: flags.type, name }));
    const { prefix, snapshot: withSnapshot } = flags;
    const events = presence.watchChannels({ channels, prefix, withSnapshot, signal: opening.signal });
    const end = (): void => void events.close();
    const stopListening = io.onInterrupt(end);
    io.stdoutClosed.addEventListener("abort", end);
    try {
      for await (const event of events) {
        clearTimeout(timer);
        show(event);
      }
    } finally {
      clearTimeout(timer);
      io.stdoutClosed.removeEventListener("abort", end);
      stopListening();
    }
  });
}
