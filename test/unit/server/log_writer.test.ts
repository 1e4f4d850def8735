import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { LogWriter } from "../../../src/server/log_writer.js";

/** A stream that takes what is written when it is told to. */
class SlowStream extends Writable {
  text = "";
  #next: ((error?: Error) => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
    this.on("error", () => {});
  }

  override _write(chunk: string, _encoding: string, done: (error?: Error) => void): void {
    this.text += chunk;
    this.#next = done;
  }

  /** Takes all that waits. */
  async drain(error?: Error): Promise<void> {
    while (this.#next) {
      const next = this.#next;
      this.#next = undefined;
      next(error);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const line = `${"x".repeat(1023)}\n`;

describe("server: writing the log", () => {
  it("keeps at most 1 MiB that waits, drops the rest, and says how many lines once the stream takes lines again", async () => {
    const stream = new SlowStream();
    const told: number[] = [];
    const writer = new LogWriter(stream, (count) => told.push(count));
    for (let i = 0; i < 1500; i++) writer.write(line);
    assert.ok(stream.writableLength <= 1024 * 1024 + line.length);
    assert.deepEqual([writer.dropped, told], [475, []]);
    await stream.drain();
    assert.deepEqual([writer.dropped, told, stream.text.length], [475, [475], 1025 * 1024]);
    writer.write("more\n");
    await stream.drain();
    assert.deepEqual(told, [475], "once");
    assert.ok(stream.text.endsWith("more\n"));
  });

  it("counts lines that cannot be written, and does not try to say so in vain", async () => {
    const closed = {
      writableLength: 0,
      write: (_chunk: unknown, done: (error: Error) => void) => {
        queueMicrotask(() => done(new Error("EPIPE")));
        return true;
      },
    };
    const told: number[] = [];
    const writer = new LogWriter(closed as unknown as Writable, (count) => told.push(count));
    for (let i = 0; i < 3; i++) writer.write(line);
    await writer.flush(60_000);
    assert.deepEqual([writer.dropped, told], [3, []]);
  });

  it("waits for what is written, for so long and no longer", async () => {
    const stream = new SlowStream();
    const writer = new LogWriter(stream, () => {});
    writer.write("last\n");
    await writer.flush(1);
    const flushed = writer.flush(60_000);
    await stream.drain();
    await flushed;
    assert.equal(stream.text, "last\n");
  });
});
