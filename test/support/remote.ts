import { type ChildProcess, fork } from "node:child_process";
import { endChild } from "./child.js";

/** What a child process answers: names and functions. */
export type Calls = Record<string, (...args: never[]) => unknown>;

interface Question {
  readonly id: number;
  readonly call: string;
  readonly args: unknown[];
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A child process that can be asked. Maps, dates and bigints may be sent both ways. */
export class Remote<Answers extends Calls> {
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #asked = 0;

  private constructor(readonly child: ChildProcess) {
    child.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    child.once("exit", (code, signal) => {
      for (const [id, tell] of this.#waiting) tell({ id, error: `the process ended (${signal ?? code})` });
      this.#waiting.clear();
    });
  }

  /** Starts `file`, which must call `answer`; resolves when it does. */
  static async start<Answers extends Calls>(file: URL, nodeFlags: string[] = []): Promise<Remote<Answers>> {
    const child = fork(file, { execArgv: ["--import", "tsx", ...nodeFlags], serialization: "advanced" });
    const remote = new Remote<Answers>(child);
    const ready = remote.#answer(-1);
    await ready;
    return remote;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Asks the process; rejects with what it failed with, or when it ends. */
  ask<Name extends keyof Answers & string>(
    call: Name,
    ...args: Parameters<Answers[Name]>
  ): Promise<Awaited<ReturnType<Answers[Name]>>> {
    const id = this.#asked++;
    const answer = this.#answer(id);
    this.child.send({ id, call, args } satisfies Question);
    return answer as Promise<Awaited<ReturnType<Answers[Name]>>>;
  }

  /** SIGSTOP, SIGCONT, or an end. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends the process, stopped or not, and waits until it is gone. */
  end(): Promise<void> {
    return endChild(this.child);
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => (error === undefined ? resolve(result) : reject(new Error(error))));
    });
  }
}

/** In the child: answers the parent until it is gone. */
export function answer(calls: Calls): void {
  process.on("message", async ({ id, call, args }: Question) => {
    try {
      process.send!({ id, result: await calls[call]!(...(args as never[])) });
    } catch (error) {
      process.send!({ id, error: error instanceof Error ? `${error.stack}` : String(error) });
    }
  });
  process.on("disconnect", () => process.exit());
  process.send!({ id: -1 });
}
