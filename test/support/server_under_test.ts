import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ServerSettings } from "../../src/server/settings.js";
import { endChild } from "./child.js";
import { PATIENCE_MS } from "./deferred.js";
import { gauge } from "./gauge.js";

/** A real server in a process of its own, whose memory and metrics can be asked for. */
export class ServerUnderTest {
  private constructor(
    private readonly child: ChildProcess,
    /** `host:port` for clients. */
    readonly address: string,
    private readonly metricsAddress: string,
  ) {}

  /** Starts one, with options for Node beyond those it needs; resolves when it listens. */
  static async start(
    settings: Partial<ServerSettings> = {},
    nodeOptions: readonly string[] = [],
  ): Promise<ServerUnderTest> {
    const path = fileURLToPath(new URL("./server_process.ts", import.meta.url));
    const child = fork(path, [JSON.stringify(settings)], {
      execArgv: ["--import", "tsx", "--expose-gc", ...nodeOptions],
    });
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the server ended before it listened (${code})`);
    });
    const [{ address, metricsAddress }] = await Promise.race([once(child, "message"), ended]);
    ended.catch(() => {});
    return new ServerUnderTest(child, address, metricsAddress);
  }

  /** Sends a signal: SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The longest that the server's event loop was held up since the last time this was asked, in ms. */
  async stall(): Promise<number> {
    this.child.send("stall");
    const [{ ms }] = await once(this.child, "message");
    return ms;
  }

  /** Bytes in use after a garbage collection: JavaScript's heap and what hangs on it. */
  async memory(): Promise<number> {
    this.child.send("memory");
    const [{ bytes }] = await once(this.child, "message");
    return bytes;
  }

  /**
   * Bytes in use beyond `before`, weighed again and again until they are fewer than `most` or PATIENCE_MS have passed: what is
   * on its way when it is first weighed does not count.
   */
  async memoryBeyond(before: number, most: number): Promise<number> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const beyond = (await this.memory()) - before;
      if (beyond < most || performance.now() > until) return beyond;
    }
  }

  /** A gauge of the server's metrics. */
  gauge(name: string): Promise<number> {
    return gauge(this.metricsAddress, name);
  }

  /** How many readers are in a state, by the metrics. */
  readers(state: "live" | "lagging" | "resyncing"): Promise<number> {
    return gauge(this.metricsAddress, `rollcall_readers{state="${state}"}`);
  }

  /** Lets the server go down as SIGTERM does (S24); resolves when the process is gone. */
  async terminate(): Promise<void> {
    const gone = once(this.child, "exit");
    this.child.send("close");
    await gone;
  }

  /** Kills the process, stopped or not. */
  async stop(): Promise<void> {
    await endChild(this.child);
  }
}
