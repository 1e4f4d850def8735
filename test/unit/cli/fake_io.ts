import { EventEmitter, once } from "node:events";
import type { Io, Out } from "../../../src/cli/io.js";
import { run } from "../../../src/cli/run.js";

/** A stream that keeps what is written to it. */
class FakeOut implements Out {
  text = "";
  readonly isTTY: boolean;
  columns = 80;
  rows = 24;
  readonly #written = new EventEmitter();

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): boolean {
    this.text += text;
    this.#written.emit("text");
    return true;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  /** Resolves when what was written so far matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await once(this.#written, "text");
  }
}

/** A world of one's own for a command. */
export class FakeIo implements Io {
  readonly stdout: FakeOut;
  readonly stderr = new FakeOut(false);
  readonly env: Record<string, string>;
  readonly closing = new AbortController();
  readonly stdoutClosed = this.closing.signal;
  readonly #signals = new EventEmitter();

  constructor({ tty = false, env = {} }: { tty?: boolean; env?: Record<string, string> } = {}) {
    this.stdout = new FakeOut(tty);
    this.env = env;
  }

  interrupt(): void {
    this.#signals.emit("interrupt");
  }

  resize(columns: number, rows: number): void {
    Object.assign(this.stdout, { columns, rows });
    this.#signals.emit("resize");
  }

  onInterrupt(listener: () => void): () => void {
    this.#signals.once("interrupt", listener);
    return () => this.#signals.off("interrupt", listener);
  }

  onResize(listener: () => void): () => void {
    this.#signals.on("resize", listener);
    return () => this.#signals.off("resize", listener);
  }
}

/** Runs a command line to its end. */
export async function rollcall(
  args: string[],
  io = new FakeIo(),
): Promise<{ code: number; out: string[]; err: string[] }> {
  const code = await run(args, io);
  return { code, out: io.stdout.lines, err: io.stderr.lines };
}
