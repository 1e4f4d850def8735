import type { LoadCalls } from "../load/main.js";
import type { Children, Remote } from "./children.js";
import { type ServerUnderTest, SUBJECTS, type SubjectName } from "./subject.js";

/** How long and how large a run is to be. */
export interface Scale {
  quick: boolean;
  /** Seconds of load before anything is measured. */
  warmSeconds: number;
  /** Seconds of load that are measured. */
  seconds: number;
}

/** A server and the process that loads it, for one sample. */
export interface Bench {
  server: ServerUnderTest;
  load: Remote<LoadCalls>;
}

/** Starts and ends the processes of one sample after the other. */
export class Lab {
  #load: Remote<LoadCalls> | undefined;

  constructor(
    private readonly children: Children,
    readonly scale: Scale,
    /** Where rollcall's CPU profiles go, if anywhere. */
    private readonly profileDir: string | undefined,
  ) {}

  /**
   * Runs `use` with a fresh server of that kind, and ends it. The process that holds the readers stays for the next
   * sample, unless this one fails.
   */
  async with<T>(subject: SubjectName, settings: object, use: (bench: Bench) => Promise<T>): Promise<T> {
    const flags = this.profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${this.profileDir}`];
    const server = await SUBJECTS[subject].start(this.children, settings, flags);
    try {
      this.#load ??= await this.children.fork<LoadCalls>(new URL("../load/main.ts", import.meta.url), {});
      const result = await use({ server, load: this.#load });
      await this.#load.call("leave");
      return result;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      await server.stop();
    }
  }

  /** Ends the process that holds the readers. */
  async close(): Promise<void> {
    if (this.#load !== undefined) await this.children.end(this.#load.pid);
    this.#load = undefined;
  }
}
