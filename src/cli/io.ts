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
   * Calls back at the first Ctrl-C or SIGTERM, which then does not end the process; the second one does. Returns how
   * to stop listening.
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

/** What a process ends with that was told twice to stop, as shells have it. */
const INTERRUPTED = 130;

/**
 * Signals that come within this time, in ms, are one Ctrl-C: npx passes on what the terminal has sent already. Taken for
 * a second one, it would end the process before it has left the channel.
 */
const ONE_KEYSTROKE_MS = 500;

/** The world of a real process. */
export function processIo(): Io {
  const closed = new AbortController();
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") {
      process.stderr.write(`rollcall: standard output: ${error.message}\n`);
      process.exitCode = EXIT_CODES.unexpected;
    }
    closed.abort(error);
  });
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
          listener();
        } else if (now - askedAt > ONE_KEYSTROKE_MS) {
          process.exit(INTERRUPTED);
        }
      };
      process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
      return () => process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    },
    onResize: (listener) => {
      process.stdout.on("resize", listener);
      return () => process.stdout.off("resize", listener);
    },
  };
}
