import picocolors from "picocolors";
import { EXIT_CODES } from "./exit_codes.js";

/** The part of a stream that the commands write to. */
export interface Out {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Width and height of a terminal, in characters. */
  readonly columns?: number;
  readonly rows?: number;
}

/** What a command has of the world; tests give it another one. */
export interface Io {
  readonly stdout: Out;
  readonly stderr: Out;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when nobody reads stdout any more (`| head`). */
  readonly stdoutClosed: AbortSignal;
  /**
   * Calls back at the first SIGINT (Ctrl-C), SIGTERM or SIGHUP, which then does not end the process; the second one
   * does. Returns how to stop listening.
   */
  onInterrupt(listener: () => void): () => void;
  /** Calls back when the terminal's size changed; returns how to stop listening. */
  onResize(listener: () => void): () => void;
}

/** Colours, or functions that do nothing. */
export type Colors = ReturnType<typeof picocolors.createColors>;

/** Whether stdout is a terminal that can move its cursor. */
export function isTerminal({ stdout, env }: Io): boolean {
  return stdout.isTTY === true && env.TERM !== "dumb";
}

/** Colours for a terminal, unless NO_COLOR says otherwise (https://no-color.org). */
export function colorsFor(io: Io): Colors {
  return picocolors.createColors(isTerminal(io) && !io.env.NO_COLOR);
}

/** Writes one line to stdout. */
export function printLine({ stdout }: Io, line: string): void {
  stdout.write(`${line}\n`);
}

/**
 * Signals that come within this time, in ms, are one Ctrl-C: npx passes on what the terminal has sent already. Taken for
 * a second one, it would end the process before it has left the channel.
 */
const ONE_KEYSTROKE_MS = 500;

/** Signals that end a command. The system sends SIGHUP when the terminal is closed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Errors of a pipe whose reader has closed it; ECONNRESET if it had unread data. */
const CLOSED_PIPE = new Set(["EPIPE", "ECONNRESET"]);

/** The world of a real process. */
export function processIo(): Io {
  const closed = new AbortController();
  let interrupted = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Every later write fails too. A closed pipe is no failure, nor is a terminal that is closed while the command leaves.
    const isSilent = closed.signal.aborted || interrupted || CLOSED_PIPE.has(error.code ?? "");
    closed.abort(error);
    if (isSilent) return;
    process.stderr.write(`rollcall: standard output: ${error.message}\n`);
    process.exitCode = EXIT_CODES.output;
  });
  // A failure that cannot be printed still has its exit code. The server counts the lines of its log that are lost.
  process.stderr.on("error", () => {});
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    stdoutClosed: closed.signal,
    onInterrupt: (listener) => {
      let askedAt: number | undefined;
      // Not `once`: the terminal's cursor is restored by another listener, which
      // ends the process when it finds itself the only one left.
      const onSignal = (): void => {
        const now = performance.now();
        if (askedAt === undefined) {
          askedAt = now;
          interrupted = true;
          listener();
        } else if (now - askedAt > ONE_KEYSTROKE_MS) {
          process.exit(EXIT_CODES.interrupted);
        }
      };
      for (const signal of SIGNALS) process.on(signal, onSignal);
      return () => {
        for (const signal of SIGNALS) process.off(signal, onSignal);
      };
    },
    onResize: (listener) => {
      process.stdout.on("resize", listener);
      return () => process.stdout.off("resize", listener);
    },
  };
}
