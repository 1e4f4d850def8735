import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Long enough to write a CPU profile. */
const STOP_MS = 15_000;

/** Asks something of a child process; the names and types are those of the calls that it answers. */
export interface Remote<Calls extends object> {
  readonly pid: number;
  /** What the child said when it was ready: for a server, its address. */
  readonly ready: string;
  call<K extends keyof Calls & string>(
    name: K,
    ...args: Calls[K] extends (...args: infer A) => unknown ? A : never
  ): Promise<Calls[K] extends (...args: never) => infer R ? Awaited<R> : never>;
}

interface Reply {
  ready?: string;
  id?: number;
  result?: unknown;
  error?: string;
}

/** Every process that the bench has started. None outlives it. */
export class Children {
  readonly #alive = new Set<ChildProcess>();
  readonly #dirs: string[] = [];

  constructor() {
    process.on("exit", () => {
      for (const child of this.#alive) child.kill("SIGKILL");
      for (const dir of this.#dirs) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    });
  }

  /** A directory for a child to keep its files in, as long as the bench runs. */
  directory(): string {
    const dir = mkdtempSync(join(tmpdir(), "rollcall-bench-"));
    this.#dirs.push(dir);
    return dir;
  }

  /** Starts a file of the bench in a process of its own and waits until it is ready. */
  async fork<Calls extends object>(file: URL, settings: object, nodeFlags: string[] = []): Promise<Remote<Calls>> {
    const child = fork(fileURLToPath(file), [JSON.stringify(settings)], {
      execArgv: ["--import", "tsx", "--expose-gc", ...nodeFlags],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#keep(child);
    const waiting = new Map<number, (reply: Reply) => void>();
    let nextId = 0;
    const ready = await new Promise<string>((resolve, reject) => {
      child.on("message", (reply: Reply) => {
        if (reply.ready !== undefined) resolve(reply.ready);
        else waiting.get(reply.id!)?.(reply);
      });
      child.once("exit", (code, signal) => {
        const reason = `${fileURLToPath(file)} ended (${signal ?? code})`;
        reject(new Error(reason));
        for (const reply of waiting.values()) reply({ error: reason });
      });
    });
    return {
      pid: child.pid!,
      ready,
      call: (name, ...args) =>
        new Promise((resolve, reject) => {
          const id = nextId++;
          waiting.set(id, ({ result, error }) => {
            waiting.delete(id);
            if (error === undefined) resolve(result as never);
            else reject(new Error(error));
          });
          child.send({ id, call: name, args });
        }),
    };
  }

  /** Starts a program. */
  spawn(command: string, args: string[]): number {
    const child = spawn(command, args, { stdio: "ignore" });
    child.on("error", () => this.#alive.delete(child));
    this.#keep(child);
    return child.pid!;
  }

  /** Ends one process: `ask` first, then a signal when that does not help. */
  async end(pid: number, ask?: () => Promise<unknown>): Promise<void> {
    const child = [...this.#alive].find((candidate) => candidate.pid === pid);
    if (child === undefined) return;
    const gone = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    if (ask === undefined) child.kill("SIGTERM");
    else ask().catch(() => child.kill("SIGKILL"));
    await gone;
    clearTimeout(timer);
  }

  #keep(child: ChildProcess): void {
    this.#alive.add(child);
    child.once("exit", () => this.#alive.delete(child));
  }
}
