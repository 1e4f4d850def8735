import Table from "cli-table3";
import type { UserState } from "../client/index.js";
import type { Watch } from "./event_lines.js";
import type { Colors } from "./io.js";
import { formatStates, printable, timeOfDay } from "./printable.js";

/** What a frame of the live table shows. */
export interface Frame {
  readonly watch: Watch;
  readonly members: ReadonlyMap<string, UserState>;
  /** What happened, the latest last; each safe to print. */
  readonly log: readonly string[];
  /** The terminal's size, in characters. */
  readonly columns: number;
  readonly rows: number;
  readonly colors: Colors;
  /** Whether more may come; the last frame does not say how to end. */
  readonly live: boolean;
}

/** How many lines of what happened are shown, when the terminal is high enough. */
export const LOG_LINES = 8;

/** Title, empty lines, the table's head, the line of those who did not fit, and the cursor's own. */
const OTHER_LINES = 7;

const BORDERLESS = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid", "middle"].flatMap((side) =>
    ["", "-mid", "-left", "-right"].map((corner) => [`${side}${corner}`, ""]),
  ),
);

/** Draws a frame: who is there, with which state, since when, and what happened last. Never larger than the terminal. */
export function renderFrame({ watch, members, log, columns, rows, colors, live }: Frame): string {
  const logLines = Math.max(0, Math.min(LOG_LINES, log.length, Math.floor((rows - OTHER_LINES) / 2)));
  const room = Math.max(1, rows - OTHER_LINES - logLines);
  const shown = [...take(members.values(), room)];
  const hidden = members.size - shown.length;

  const widest = Math.max(0, ...shown.map(({ userId }) => widthOf(printable(userId))));
  const userWidth = Math.min(Math.max(8, widest) + 2, Math.floor(columns / 3));
  const sinceWidth = 10;
  const table = new Table({
    head: ["USER", "STATE", "SINCE"].map(colors.dim),
    colWidths: [userWidth, Math.max(8, columns - userWidth - sinceWidth - 1), sinceWidth],
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  for (const { userId, states, joinTime } of shown) {
    const since = joinTime ? timeOfDay(joinTime) : "";
    table.push([colors.bold(printable(userId)), formatStates(states), colors.dim(since)]);
  }

  const role = watch.quiet ? "watching unseen" : `you are ${printable(watch.user)}`;
  const title = `${colors.bold(printable(watch.channel))}  ${members.size} online, ${role}`;
  const lines = [cut(title, columns), "", ...table.toString().split("\n")];
  if (hidden > 0) lines.push(colors.dim(`and ${hidden} more`));
  lines.push("", ...log.slice(log.length - logLines).map((line) => cut(line, columns)));
  if (live) lines.push(colors.dim("Ctrl-C leaves"));
  return lines.join("\n");
}

/** Cuts a line to a width, by the table's own reckoning of wide characters and colours. */
function cut(line: string, columns: number): string {
  const style = { head: [], border: [], "padding-left": 0, "padding-right": 0 };
  const table = new Table({ colWidths: [columns], chars: BORDERLESS, style });
  table.push([line]);
  return table.toString().trimEnd();
}

/** How many columns a text takes, near enough to make room for it: letters from Hangul on, and emoji, take two. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += character < "\u1100" ? 1 : 2;
  return width;
}

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ >= count) return;
    yield value;
  }
}
