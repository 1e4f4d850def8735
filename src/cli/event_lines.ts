import type { PresenceEvent, Reconnecting, UserState } from "../client/index.js";
import type { Colors } from "./io.js";
import { formatStates, printable, printableName, timeOfDay } from "./printable.js";

/** Who watches what, for the words of the first line. */
export interface Watch {
  readonly channel: string;
  readonly user: string;
  /** Watching without being seen (S7). */
  readonly quiet: boolean;
}

/** What an event says to a person: lines that begin with its time of day, safe to print. */
export function eventLines(event: PresenceEvent, watch: Watch, colors: Colors): string[] {
  const time = colors.dim(timeOfDay(event.time));
  return sentences(event, watch, colors).map((sentence) => `${time}  ${sentence}`);
}

/** What is said when the connection is lost. */
export function lostLine({ reason, retryInMs }: Reconnecting, { dim, yellow }: Colors): string {
  const why = reason.reason ?? reason.code;
  const when = `trying again in ${(retryInMs / 1000).toFixed(1)} s`;
  return `${dim(timeOfDay(new Date()))}  ${yellow("connection lost")} ${dim(`(${why}); ${when}`)}`;
}

/** The same as an object, for JSON lines. */
export function lostObject({ state, attempt, reason, retryInMs }: Reconnecting): object {
  const { code, message } = reason;
  return { kind: state, time: new Date(), attempt, code, reason: reason.reason, message, retryInMs };
}

function sentences(event: PresenceEvent, watch: Watch, colors: Colors): string[] {
  const { bold, green, red, yellow, dim } = colors;
  const name = (userId: string): string => bold(printableName(userId));
  const joined = (userId: string): string => `${name(userId)} ${green("joined")}`;
  const left = (userId: string): string => `${name(userId)} ${red("left")}`;
  const timedOut = (userId: string): string => `${name(userId)} ${yellow("timed out")}`;
  const has = ({ userId, states }: UserState): string =>
    `${name(userId)}  ${formatStates(states) || dim("(no state)")}`;
  switch (event.kind) {
    case "subscribed":
      return [
        watch.quiet
          ? `watching ${printableName(watch.channel)} unseen`
          : `in ${printableName(watch.channel)} as ${name(watch.user)}`,
      ];
    case "snapshot":
      return [`${event.members.size} online`, ...[...event.members.values()].map(has)];
    case "join":
      return [joined(event.userId)];
    case "leave":
      return [left(event.userId)];
    case "timeout":
      return [timedOut(event.userId)];
    case "state_changed":
      return [has(event.state) + dim(difference(event.changedKeys, event.removedKeys))];
    case "interval":
      return [
        ...event.left.map(left),
        ...event.timedOut.map(timedOut),
        ...event.joined.map(joined),
        ...event.changed.map(has),
      ];
    case "out_of_service":
      return [yellow(`out of service, this may be out of date: ${printable(event.description)}`)];
  }
}

function difference(changed: readonly string[], removed: readonly string[]): string {
  const parts = [];
  if (changed.length > 0) parts.push(`changed ${changed.map(printableName).join(", ")}`);
  if (removed.length > 0) parts.push(`removed ${removed.map(printableName).join(", ")}`);
  return parts.length === 0 ? "" : `  (${parts.join("; ")})`;
}
