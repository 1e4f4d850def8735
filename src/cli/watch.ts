import { Command, Option } from "commander";
import type { PresenceEvent, Subscription } from "../client/index.js";
import { withoutUser } from "../client/without_user.js";
import { follow } from "./follow.js";
import type { Io } from "./io.js";
import { isTerminal } from "./io.js";
import type { ChannelFlags } from "./options.js";
import { addChannelOptions, parsePair, repeatable, userOf } from "./options.js";
import { printableName } from "./printable.js";
import { withPresence } from "./session.js";
import { jsonView, lineView, tableView } from "./watch_view.js";

interface WatchFlags extends ChannelFlags {
  readonly quiet?: boolean;
  readonly set?: Record<string, string>;
  readonly includeSelf?: boolean;
  readonly device?: string;
}

/** `rollcall watch CHANNEL`: joins a channel and shows who is there and what changes, until Ctrl-C. */
export function watchCommand(io: Io): Command {
  const command = new Command("watch")
    .description("join a channel and see who is there and what changes")
    .argument("<channel>", "the channel's name")
    .addOption(new Option("-q, --quiet", "watch without being seen: no join, not in any list").conflicts("set"))
    .addOption(
      repeatable(
        new Option("-s, --set <key=value>", "state to join with; may be given several times").argParser(parsePair),
      ),
    )
    .option("--device <id>", "which of your devices this is: a label; ends its lost sessions")
    .option("--include-self", "show your own changes too, as --quiet always does")
    .addHelpText(
      "after",
      `
On a terminal a table is kept up to date; elsewhere each event is a line. A
connection that is lost is made again. Ctrl-C leaves the channel at once, and so does
closing the terminal. With --json the last line says why it ended: kind "closed", with
reason, message and exitCode.

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
    const { quiet = false, includeSelf, set, type, device: deviceId } = flags;
    const own = userOf(flags);
    const shown = { channel, user: own, quiet };
    const view = flags.json ? jsonView(io) : isTerminal(io) ? await tableView(io, shown) : lineView(io, shown);

    await follow<PresenceEvent, Subscription>(io, {
      timeoutMs: flags.timeout,
      json: flags.json ?? false,
      endedElsewhere: `the session of ${printableName(own)} was ended elsewhere (LeaveChannel)`,
      // With one's own events the table shows what the same user does elsewhere.
      open: (options) =>
        presence
          .channel(channel, { type })
          .subscribe({ quiet, includeSelf: true, initialStates: set, deviceId, ...options }),
      show: (event, { members }) => view.show(quiet || includeSelf ? event : withoutUser(event, own), members),
      lost: view.lost,
      end: view.end,
    });
  });
}
