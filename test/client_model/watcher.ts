import type { Feed, FeedEvent, PresenceClient } from "../../src/client/index.js";
import { type Deferred, deferred } from "../support/deferred.js";
import { CHANNELS } from "./commands.js";
import { differencesOf, Replay } from "./replay.js";
import type { Truth } from "./restarting_server.js";

/** A feed of all channels as an application has it, and the members that follow from its events. */
export class Watcher {
  readonly feed: Feed;
  readonly abort = new AbortController();
  readonly problems: string[] = [];
  /** Whether it was closed. */
  mayEnd = false;

  readonly #iterator: AsyncIterator<FeedEvent, undefined>;
  #replays = CHANNELS.map(() => new Replay());
  #isComplete = false;
  #isDraining = false;
  #gate: Deferred<void> | undefined;
  #isOver = false;

  constructor(
    readonly label: string,
    client: PresenceClient,
    private readonly isSlow: boolean,
  ) {
    this.feed = client.watchChannels({ withSnapshot: true, signal: this.abort.signal });
    this.#iterator = this.feed[Symbol.asyncIterator]();
    void this.#iterate();
  }

  get isOpen(): boolean {
    return !this.#isOver && !this.mayEnd;
  }

  /** Lets a slow iteration take one event. */
  step(): void {
    this.#gate?.resolve();
  }

  /** Lets the iteration take all events, or one at a time again. */
  drain(isDraining: boolean): void {
    this.#isDraining = isDraining;
    if (isDraining) this.#gate?.resolve();
  }

  async return(): Promise<void> {
    await this.#iterator.return?.();
  }

  /** What is wrong at rest, as lines for a report. */
  differences(truths: readonly Truth[]): string[] {
    if (this.mayEnd) return this.problems;
    if (this.#isOver) return [...this.problems, `${this.label} ended by itself`];
    if (!this.#isComplete) return [...this.problems, `${this.label} has no snapshot of all channels`];
    const lines = truths.flatMap(({ members }, channel) => differencesOf(this.#replays[channel]!.members, members));
    return [...this.problems, ...lines.map((line) => `${this.label} was told ${line}`)];
  }

  async #iterate(): Promise<void> {
    try {
      for (;;) {
        if (this.isSlow && !this.#isDraining) {
          this.#gate = deferred();
          await this.#gate.promise;
        }
        const { value, done } = await this.#iterator.next();
        if (done) return;
        this.#apply(value);
      }
    } catch (error) {
      if (!this.mayEnd) this.problems.push(`${this.label}: the iteration failed: ${error}`);
    } finally {
      this.#isOver = true;
    }
  }

  #apply(event: FeedEvent): void {
    if (event.channel === undefined) {
      this.#isComplete = event.kind === "complete";
      if (event.kind !== "complete") this.#replays = CHANNELS.map(() => new Replay());
      return;
    }
    const { type, name } = event.channel;
    const index = CHANNELS.findIndex((channel) => channel.type === type && channel.name === name);
    if (event.kind === "occupied" || event.kind === "vacated") this.#replays[index] = new Replay();
    else this.#replays[index]!.apply(event);
  }
}
