import type { ChannelId, FeedEvent, UserState } from "../client/index.js";
import type { Colors } from "./io.js";
import { formatStates, printable, printableName, timeOfDay } from "./printable.js";

/** What an event of a feed says to a person: lines with time of day, channel and what happened, safe to print. */
export function feedLines(event: FeedEvent, colors: Colors): string[] {
  const { dim, yellow } = colors;
  const time = dim(timeOfDay(event.time));
  if (event.channel) {
    const channel = channelName(event.channel);
    return sentences(event, colors).map((sentence) => `${time}  ${channel}  ${sentence}`);
  }
  switch (event.kind) {
    case "subscribed":
      return [`${time}  watching`];
    case "resync":
      return [`${time}  connected again; ${yellow("events may have been missed")}`];
    case "complete":
      return [`${time}  all occupied channels told`];
    case "out_of_service":
      return [`${time}  ${yellow(`events were lost: ${printable(event.description)}`)}`];
  }
}

function sentences(event: FeedEvent & { channel: ChannelId }, { bold, dim, green, red, yellow }: Colors): string[] {
  const name = (userId: string): string => bold(printableName(userId));
  const has = ({ userId, states }: UserState): string =>
    `${name(userId)}  ${formatStates(states) || dim("(no state)")}`;
  switch (event.kind) {
    case "occupied":
      return [green("occupied")];
    case "vacated":
      return [red("vacated")];
    case "join":
      return [`${name(event.userId)} ${green("joined")}`];
    case "leave":
      return [`${name(event.userId)} ${red("left")}`];
    case "timeout":
      return [`${name(event.userId)} ${yellow("timed out")}`];
    case "state_changed":
      return [has(event.state)];
    case "snapshot":
      return [`${event.members.size} online`, ...[...event.members.values()].map(has)];
    default:
      return [yellow(event.kind)];
  }
}

function channelName({ type, name }: ChannelId): string {
  return type === "stream" ? `${printableName(name)} (stream)` : printableName(name);
}
