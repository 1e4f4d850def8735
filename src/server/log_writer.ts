import type { Writable } from "node:stream";

/** The most that may wait to be written, in characters. */
const MAX_WAITING = 1024 * 1024;

/**
 * Writes log lines to a stream without ever waiting for it: while more than 1 MiB is unread, lines are dropped and
 * counted. On pipes and sockets Node writes without blocking; on files and terminals it does not return before the line
 * is written.
 */
export class LogWriter {
  #dropped = 0;
  #reported = 0;

  constructor(
    private readonly stream: Pick<Writable, "write" | "writableLength">,
    /** The stream takes lines again after `count` of them were dropped. */
    private readonly onDropped: (count: number) => void,
  ) {}

  /** Lines that were dropped since the start: the stream was full, or could not be written to. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line, with its line break. */
  write(line: string): void {
    if (this.stream.writableLength > MAX_WAITING) this.#dropped++;
    else this.stream.write(line, this.#written);
  }

  /** Resolves when all lines so far are written, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
      this.stream.write("", () => resolve());
    });
    clearTimeout(timer);
  }

  readonly #written = (error?: Error | null): void => {
    if (error) {
      this.#dropped++;
    } else if (this.#reported < this.#dropped && this.stream.writableLength === 0) {
      const count = this.#dropped - this.#reported;
      this.#reported = this.#dropped;
      this.onDropped(count);
    }
  };
}
