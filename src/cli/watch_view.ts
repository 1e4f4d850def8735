import type { PresenceEvent, Reconnecting, UserState } from "../client/index.js";
import { eventLines, lostLine, lostObject, type Watch } from "./event_lines.js";
import type { Io } from "./io.js";
import { colorsFor, printLine } from "./io.js";
import { jsonLine } from "./printable.js";
import { LOG_LINES, renderFrame } from "./watch_table.js";

/** How `watch` shows what it hears. */
export interface WatchView {
  /** Shows one event, after which `members` are these. Without an event only `members` changed. */
  show(event: PresenceEvent | undefined, members: ReadonlyMap<string, UserState>): void;
  /** Shows that the connection is lost, and when it is tried again. */
  lost(status: Reconnecting): void;
  /** Shows what is not shown yet, and gives the terminal back. */
  end(): void;
}

/** One JSON object per event. */
export function jsonView(io: Io): WatchView {
  return {
    show(event) {
      if (!event) return;
      // A session's id is as good as a key: it must not end in logs.
      const { sessionId: _, ...shown } = { sessionId: undefined, ...event };
      printLine(io, jsonLine(shown));
    },
    lost(status) {
      printLine(io, jsonLine(lostObject(status)));
    },
    end() {},
  };
}

/** One line per event, for pipes and logs. */
export function lineView(io: Io, watch: Watch): WatchView {
  const colors = colorsFor(io);
  return {
    show(event) {
      if (!event) return;
      for (const line of eventLines(event, watch, colors)) printLine(io, line);
    },
    lost(status) {
      printLine(io, lostLine(status, colors));
    },
    end() {},
  };
}

/** The shortest time between two frames, in milliseconds: more than that no eye can follow. */
const FRAME_MS = 50;

/** A table that is drawn anew in its place, for a terminal. */
export async function tableView(io: Io, watch: Watch): Promise<WatchView> {
  // Loaded here since it looks at the terminal as soon as it is loaded.
  const { createLogUpdate } = await import("log-update");
  const size = {
    // A terminal that does not know its size reports 0.
    get columns() {
      return io.stdout.columns || 80;
    },
    get rows() {
      return io.stdout.rows || 24;
    },
    write: (text: string) => io.stdout.write(text),
  };
  const draw = createLogUpdate(size as unknown as NodeJS.WritableStream & typeof size);
  const colors = colorsFor(io);
  const log: string[] = [];
  let current: ReadonlyMap<string, UserState> = new Map();
  let timer: NodeJS.Timeout | undefined;

  const add = (lines: readonly string[]): void => {
    log.push(...lines);
    log.splice(0, log.length - LOG_LINES);
    timer ??= setTimeout(frame, FRAME_MS, true);
  };
  const frame = (live: boolean): void => {
    timer = undefined;
    draw(renderFrame({ watch, members: current, log, columns: size.columns, rows: size.rows, colors, live }));
  };
  const stopListening = io.onResize(() => frame(true));

  return {
    show(event, members) {
      current = members;
      // The table itself says what a snapshot does.
      add(!event || event.kind === "snapshot" ? [] : eventLines(event, watch, colors));
    },
    lost(status) {
      add([lostLine(status, colors)]);
    },
    end() {
      stopListening();
      clearTimeout(timer);
      frame(false);
      draw.done();
    },
  };
}
