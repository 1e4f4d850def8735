import type { UserState } from "../client/index.js";
import type { Watch } from "./event_lines.js";
import type { Colors } from "./io.js";
import { formatStates, printableName, timeOfDay } from "./printable.js";

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

/** Columns of the time since when a user is present; left out where the terminal is narrow. */
const SINCE_WIDTH = 10;
const NARROW = 40;

/** Draws a frame: who is there, with which state, since when, and what happened last. Never larger than the terminal. */
export function renderFrame({ watch, members, log, columns, rows, colors, live }: Frame): string {
  const logLines = Math.max(0, Math.min(LOG_LINES, log.length, Math.floor((rows - OTHER_LINES) / 2)));
  const room = Math.max(1, rows - OTHER_LINES - logLines);
  const shown = [...take(members.values(), room)];
  const hidden = members.size - shown.length;

  const widest = Math.max(6, ...shown.map(({ userId }) => widthOf(printableName(userId))));
  const userWidth = Math.min(widest + 2, Math.floor(columns / 3));
  const sinceWidth = columns < NARROW ? 0 : SINCE_WIDTH;
  const stateWidth = Math.max(0, columns - userWidth - sinceWidth);
  const row = (user: string, state: string, since: string, color: (text: string) => string = String): string =>
    cut(`${color(cell(user, userWidth))}${cell(state, stateWidth)}${colors.dim(cut(since, sinceWidth))}`, columns);

  const role = watch.quiet ? "watching unseen" : `you are ${printableName(watch.user)}`;
  const title = `${colors.bold(printableName(watch.channel))}  ${members.size} online, ${role}`;
  const lines = [cut(title, columns), "", colors.dim(row("USER", "STATE", "SINCE"))];
  for (const { userId, states, joinTime } of shown) {
    lines.push(row(printableName(userId), formatStates(states), joinTime ? timeOfDay(joinTime) : "", colors.bold));
  }
  if (hidden > 0) lines.push(colors.dim(cut(`and ${hidden} more`, columns)));
  lines.push("", ...log.slice(log.length - logLines).map((line) => cut(line, columns)));
  if (live) lines.push(colors.dim(cut("Ctrl-C leaves", columns)));
  // The cursor needs the last line of the terminal.
  const fits = Math.max(0, rows - 1);
  const needed = lines.length > fits ? lines.filter((line) => line !== "") : lines;
  return needed.slice(0, fits).join("\n");
}

/** A text in a column: cut, with at least two spaces behind it where it does not fill a narrow one. */
function cell(text: string, width: number): string {
  const shown = cut(text, Math.max(0, width - 2));
  return shown + " ".repeat(Math.max(0, width - widthOf(shown)));
}

/** Cuts a line to a width, with an ellipsis for the rest. Colours have no width and stay, so that they are reset. */
function cut(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line;
  let width = 0;
  let text = "";
  for (const [part] of line.matchAll(PARTS)) {
    const wide = widthOf(part);
    if (wide === 0) {
      text += part;
    } else if (width < columns) {
      const fits = width + wide < columns;
      text += fits ? part : "\u2026";
      width = fits ? width + wide : columns;
    }
  }
  return text;
}

/** A colour, or a character. */
const PARTS = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m|.`, "gsu");

/** An upper bound of the columns that a text takes: letters from Hangul on, and emoji, take two, colours none. */
function widthOf(text: string): number {
  let width = 0;
  for (const [part] of text.matchAll(PARTS))
    width += part.startsWith("\u001b") ? 0 : part < "\u1100" || part === "\u2026" ? 1 : 2;
  return width;
}

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ >= count) return;
    yield value;
  }
}
