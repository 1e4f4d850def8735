import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";

/** A hold-up is seen only once it is over. */
const SETTLE_MS = 20;

/** A server under test, as its process sees it. */
export interface Running {
  address: string;
  /** How many readers are behind; where the server knows. */
  lagging?(): Promise<number>;
  close(): Promise<void> | void;
}

/** What the runner can ask of a server's process. */
export interface ServerCalls {
  /** User and system time of the process so far, in microseconds. */
  cpu(): number;
  /** Memory after a full collection, in bytes. */
  memory(): Promise<Memory>;
  /** The longest the event loop was held up since the last time this was asked, in milliseconds. */
  stall(): Promise<number>;
  /** How many readers are behind at this moment, where the server knows. */
  lagging(): Promise<number | undefined>;
  stop(): Promise<void>;
}

/** Bytes in use. */
export interface Memory {
  rss: number;
  /** JavaScript objects, plus what hangs on them outside the heap: buffers and HTTP/2 sessions. */
  heap: number;
}

/**
 * Runs a server in this process, a child of the bench's: starts it with the settings from the command line, reports
 * its address, and answers the runner's questions until told to stop or until the runner is gone.
 */
export async function serveChild(start: (settings: Record<string, unknown>) => Promise<Running>): Promise<void> {
  // Ctrl-C at the terminal reaches the whole process group; the runner decides when its children end.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => process.exit());
  const server = await start(JSON.parse(process.argv[2] ?? "{}"));
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const calls: ServerCalls = {
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    memory: measureMemory,
    stall: async () => {
      await sleep(SETTLE_MS);
      const longest = delay.max / 1e6;
      delay.reset();
      return longest;
    },
    lagging: async () => server.lagging?.(),
    stop: async () => {
      await server.close();
      setTimeout(() => process.exit(), 10);
    },
  };
  answerCalls(calls);
  process.send?.({ ready: server.address });
}

/** Answers each `{id, call, args}` from the runner with `{id, result}` or `{id, error}`. */
export function answerCalls(calls: object): void {
  const table = calls as Record<string, (...args: unknown[]) => unknown>;
  process.on("message", async ({ id, call, args }: { id: number; call: string; args: unknown[] }) => {
    try {
      process.send?.({ id, result: await table[call]!(...args) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
}

async function measureMemory(): Promise<Memory> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
