import { connect, type Socket } from "node:net";
import type { Step } from "./dialect.js";
import { readStamp, STAMP_LENGTH } from "./stamp.js";

const AT = 0x40;
const EMPTY = Buffer.alloc(0);

/**
 * A socket on which stamps and answer marks are counted wherever they stand: for these protocols that is as cheap as
 * reading can be, and it needs no parser.
 */
export class TextConnection {
  bytesReceived = 0;
  /** Stamps that came. */
  changes = 0;
  onStamp: (sentMicros: number) => void = () => {};
  onAnswers: (count: number) => void = () => {};
  onLost: (reason: string) => void = () => {};
  readonly #socket: Socket;
  #rest = EMPTY;
  #closed = false;
  #awaited: { text: string; seen: string; resolve: () => void } | undefined;

  private constructor(
    socket: Socket,
    private readonly answerMark: number,
  ) {
    this.#socket = socket;
  }

  /** Connects to `host:port`. */
  static connect(address: string, answerMark: number): Promise<TextConnection> {
    const { hostname, port } = new URL(`http://${address}`);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      const connection = new TextConnection(socket, answerMark);
      socket.once("error", reject);
      socket.on("data", (chunk: Buffer) => connection.#read(chunk));
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.on("error", (error) => connection.#lost(error.message));
        socket.on("close", () => connection.#lost("closed by the server"));
        resolve(connection);
      });
    });
  }

  /** Sends and waits for the answer that says that it took effect. */
  step({ send, until }: Step): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited = { text: until, seen: "", resolve };
      if (send.length > 0) this.#socket.write(send);
    });
  }

  /** Sends. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Drops the connection. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onLost(reason);
  }

  #read(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    if (this.#awaited !== undefined) {
      this.#await(chunk);
      return;
    }
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(AT); at !== -1; at = bytes.indexOf(AT, from)) {
      if (at + STAMP_LENGTH > bytes.length) break;
      this.changes++;
      this.onStamp(readStamp(bytes, at));
      from = at + STAMP_LENGTH;
    }
    this.#countAnswers(bytes.subarray(this.#rest.length));
    const open = bytes.indexOf(AT, from);
    this.#rest = open === -1 ? EMPTY : Buffer.from(bytes.subarray(open));
  }

  #await(chunk: Buffer): void {
    const awaited = this.#awaited!;
    awaited.seen += chunk.toString("latin1");
    if (!awaited.seen.includes(awaited.text)) return;
    this.#awaited = undefined;
    awaited.resolve();
  }

  #countAnswers(bytes: Buffer): void {
    let count = 0;
    for (let at = bytes.indexOf(this.answerMark); at !== -1; at = bytes.indexOf(this.answerMark, at + 1)) count++;
    if (count > 0) this.onAnswers(count);
  }
}
