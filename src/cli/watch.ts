import { Command, Option } from "commander";
import type { Io } from "./io.js";
import { isTerminal } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions, parsePair, userOf } from "./options.js";
import { withPresence } from "./session.js";
import { jsonView, lineView, tableView } from "./watch_view.js";

interface WatchFlags extends ChannelFlags {
  readonly quiet?: boolean;
  readonly set?: Record<string, string>;
  readonly includeSelf?: boolean;
}

/** `rollcall watch CHANNEL`: joins a channel and shows who is there and what changes, until Ctrl-C. */
export function watchCommand(io: Io): Command {
  const command = new Command("watch")
    .description("join a channel and see who is there and what changes")
    .argument("<channel>", "the channel's name")
    .option("-q, --quiet", "watch without being seen: no join, not in any list")
    .addOption(
      new Option("-s, --set <key=value>", "state to join with; may be given several times").argParser(parsePair),
    )
    .option("--include-self", "show your own changes too")
    .addHelpText(
      "after",
      `
On a terminal a table is kept up to date; elsewhere each event is a line. A
connection that is lost is made again. Ctrl-C leaves the channel at once.

Examples:
  $ rollcall watch chat_room --user tony --set Mode=Happy
  $ rollcall watch chat_room --quiet | tee events.log
  $ rollcall watch chat_room --quiet --json | jq -c 'select(.kind == "join").userId'`,
    )
    .action((channel: string, flags: WatchFlags) => watch(io, channel, flags));
  return addChannelOptions(command);
}

async function watch(io: Io, channel: string, flags: WatchFlags): Promise<void> {
  await withPresence(io, flags, async ({ presence }) => {
    const { quiet = false, includeSelf, set, type } = flags;
    const shown = { channel, user: userOf(flags), quiet };
    const view = flags.json ? jsonView(io) : isTerminal(io) ? await tableView(io, shown) : lineView(io, shown);

    // The deadline is for the beginning alone: the stream itself has no end.
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(new DOMException("no answer in time", "TimeoutError")), flags.timeout);
    const room = presence.channel(channel, { type });
    const subscription = room.subscribe({
      quiet,
      includeSelf,
      initialStates: set,
      signal: opening.signal,
      // Who types a wrong address wants to be told so; a connection that worked is worth waiting for.
      reconnect: { connectTimeoutMs: 0 },
      onStatus: (status) => {
        if (status.state === "reconnecting") view.lost(status);
      },
    });
    const leave = (): void => void subscription.close();
    const stopListening = io.onInterrupt(leave);
    io.stdoutClosed.addEventListener("abort", leave);
    try {
      for await (const event of subscription) {
        clearTimeout(timer);
        view.show(event, subscription.members);
      }
    } finally {
      clearTimeout(timer);
      io.stdoutClosed.removeEventListener("abort", leave);
      view.end();
      await subscription.close();
      stopListening();
    }
  });
}
