import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { endChild } from "../support/child.js";
import { within } from "../support/deferred.js";
import { Inbox } from "../support/inbox.js";

/** How a call or a stream ended. `reason` is ErrorInfo's, `field` that of the first violation; empty without. */
export interface Outcome {
  readonly code: string;
  readonly reason?: string;
  readonly field?: string;
}

/** What a runner says: the answer to a command, an event of a stream, or a stream's end. */
interface Line {
  readonly id?: number;
  readonly answer?: unknown;
  readonly error?: Outcome;
  readonly stream?: string;
  readonly event?: unknown;
  readonly end?: Outcome;
}

/** A stream's events as they come, and its end. */
export interface HeardStream {
  readonly events: Inbox<unknown>;
  readonly end: Inbox<Outcome>;
}

/** How long a runner may take for one answer, in ms: a virtual machine's first call is slow. */
const PATIENCE_MS = 20_000;

/**
 * A program in some language that makes gRPC calls as JSON lines tell it to:
 *
 *     {"id":1,"connect":"127.0.0.1:5000"}                              → {"id":1,"answer":{}}
 *     {"id":2,"call":"SetState","user":"tony","request":{…}}           → {"id":2,"answer":{…}} or {"id":2,"error":{…}}
 *     {"id":3,"call":"SubscribePresence","request":{…},"stream":"a"}   → {"id":3,"answer":{}}, then
 *                                     {"stream":"a","event":{…}} …       and {"stream":"a","end":{"code":"OK"}}
 *     {"id":4,"cancel":"a"}                                            → {"id":4,"answer":{}}
 *     {"id":5,"close":true}                                            → {"id":5,"answer":{}}, and the streams end
 *
 * `close` closes the channel as the library does it, with its streams open; `connect` follows.
 *
 * It ends when its standard input does.
 */
export class Runner {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Inbox<Line>>();
  readonly #streams = new Map<string, HeardStream>();
  #id = 0;
  #said = "";

  /** Starts the program. */
  constructor(
    readonly language: string,
    command: readonly string[],
    cwd: string,
  ) {
    this.#child = spawn(command[0]!, command.slice(1), { cwd, stdio: ["pipe", "pipe", "pipe"] });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#take(JSON.parse(line)));
    this.#child.stderr!.on("data", (chunk) => {
      this.#said = `${this.#said}${chunk}`.slice(-2000);
    });
    this.#child.stdin!.on("error", () => {});
    this.#child.on("error", (error) => {
      this.#said += String(error);
    });
    this.#child.once("close", () => {
      const gone = new Error(`the ${language} runner ended: ${this.#said}`);
      for (const inbox of this.#waiting.values()) inbox.end(gone);
      for (const { events, end } of this.#streams.values()) {
        events.end(gone);
        end.end(gone);
      }
    });
  }

  /** Gives a command and waits for what comes of it. */
  async tell(command: Record<string, unknown>): Promise<{ answer?: unknown; error?: Outcome }> {
    const id = ++this.#id;
    const inbox = new Inbox<Line>();
    this.#waiting.set(id, inbox);
    if (typeof command.stream === "string") {
      this.#streams.set(command.stream, { events: new Inbox(), end: new Inbox() });
    }
    const answered = inbox.next();
    if (this.#child.exitCode !== null) inbox.end(new Error(`the ${this.language} runner ended: ${this.#said}`));
    this.#child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`);
    try {
      return await within(`the ${this.language} runner's answer`, answered, PATIENCE_MS);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** A stream that this runner opened; undefined when it opened none of that name. */
  stream(name: string): HeardStream | undefined {
    return this.#streams.get(name);
  }

  /** Forgets all streams and connects to another server. */
  async connect(address: string): Promise<void> {
    this.#streams.clear();
    await this.tell({ connect: address });
  }

  /** Closes the channel with its streams open, and connects again. */
  async reconnect(address: string): Promise<void> {
    await this.tell({ close: true });
    await this.tell({ connect: address });
  }

  /** Lets the program end, by force when it does not. */
  async stop(): Promise<void> {
    this.#child.stdin!.end();
    await endChild(this.#child);
  }

  #take(line: Line): void {
    if (line.id !== undefined) this.#waiting.get(line.id)?.push(line);
    const stream = line.stream === undefined ? undefined : this.#streams.get(line.stream);
    if (line.event !== undefined) stream?.events.push(line.event);
    if (line.end !== undefined) stream?.end.push(line.end);
  }
}
