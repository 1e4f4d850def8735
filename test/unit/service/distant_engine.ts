import { setImmediate as turn } from "node:timers/promises";
import type { Commit, Engine, OnChannelDeltas } from "../../../src/engine/engine.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import type { Delta } from "../../../src/model/delta.js";
import type { Position } from "../../../src/model/position.js";
import type { States } from "../../../src/model/user_state.js";

/** How many turns of the event loop pass before and after a call is carried out, one call after the other. */
export type Delays = () => number;

/**
 * An engine behind a slow line: calls take their time on the way there and on the way back, and overtake each other.
 * News of commits come late as well, but in order, as the port promises.
 */
export class DistantEngine implements Engine {
  /** The news that are on their way to who watches all channels. */
  readonly #underWay = new Set<() => Promise<void>>();

  constructor(
    private readonly inner: Engine,
    private readonly delays: Delays,
  ) {}

  read = (channel: ChannelId, userId: string) => this.#far(() => this.inner.read(channel, userId));
  commit = (commit: Commit) => this.#far(() => this.inner.commit(commit));
  summary = (channel: ChannelId) => this.#far(() => this.inner.summary(channel));
  snapshot = (channel: ChannelId) => this.#far(() => this.inner.snapshot(channel));
  page = (channel: ChannelId, after: number, limit: number, states: States) =>
    this.#far(() => this.inner.page(channel, after, limit, states));
  count = (channel: ChannelId, after: number, states: States) =>
    this.#far(() => this.inner.count(channel, after, states));
  replay = (channel: ChannelId, from: Position) => this.#far(() => this.inner.replay(channel, from));
  placesOf = (app: string, userId: string) => this.#far(() => this.inner.placesOf(app, userId));
  usage = (app: string) => this.#far(() => this.inner.usage(app));
  occupied = () =>
    this.#far(async () => {
      const channels = await this.inner.occupied();
      await Promise.all([...this.#underWay].map((news) => news()));
      return channels;
    });
  findSession = (sessionId: string) => this.#far(() => this.inner.findSession(sessionId));

  watch(channel: ChannelId, onDeltas: (deltas: readonly Delta[]) => void) {
    let stopped = false;
    let last = Promise.resolve();
    const later = (deltas: readonly Delta[]): void => {
      last = last.then(async () => {
        await this.#wait();
        if (!stopped) onDeltas(deltas);
      });
    };
    return this.#far(async () => {
      const stop = await this.inner.watch(channel, later);
      return () => {
        stopped = true;
        stop();
      };
    });
  }

  watchAll(onDeltas: OnChannelDeltas) {
    let stopped = false;
    let last = Promise.resolve();
    const later: OnChannelDeltas = (...heard) => {
      last = last.then(async () => {
        await this.#wait();
        if (!stopped) onDeltas(...heard);
      });
    };
    const underWay = () => last;
    return this.#far(async () => {
      const stop = await this.inner.watchAll(later);
      this.#underWay.add(underWay);
      return () => {
        stopped = true;
        this.#underWay.delete(underWay);
        stop();
      };
    });
  }

  usages() {
    return this.inner.usages();
  }

  stats() {
    return this.inner.stats();
  }

  close() {
    return this.inner.close();
  }

  async #far<T>(call: () => T | Promise<T>): Promise<T> {
    await this.#wait();
    const answer = await call();
    await this.#wait();
    return answer;
  }

  async #wait(): Promise<void> {
    for (let turns = this.delays(); turns > 0; turns--) await turn();
  }
}
