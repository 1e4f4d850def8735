import { setTimeout as sleep } from "node:timers/promises";
import {
  createPresenceClient,
  type PresenceChannel,
  type PresenceClient,
  PresenceError,
  type PresenceEvent,
  type Subscription,
} from "../client/index.js";
import { isTimeout } from "./exit_codes.js";
import { LoadTally } from "./load_report.js";

/** What a load is to be. */
export interface LoadPlan {
  readonly address: string;
  /** Sent with every call; it must allow to act for all the users. Default: none. */
  readonly token?: string;
  /** What the names of users and channels begin with. */
  readonly prefix: string;
  readonly users: number;
  readonly channels: number;
  readonly connections: number;
  /** Updates per second, of all users together. */
  readonly rate: number;
  /** How long updates are made, in ms. */
  readonly durationMs: number;
  /** How long a join, an update, or the last deliveries may take, in ms. */
  readonly timeoutMs: number;
}

/** What a run tells while it goes on. */
export interface LoadProgress {
  /** Another part of the run begins, of so many steps. */
  begin(what: string, steps: number): void;
  /** So many of them are done. */
  at(steps: number): void;
}

/** The key under which users write when they wrote, in ms of this process's clock. */
const STAMP = "load_at";

/** Joins that wait for their answer. */
const JOINING_AT_ONCE = 50;

/** Updates that may wait for their answer: a server that is slower than the rate is not buried. */
const MAX_IN_FLIGHT = 5000;

/** How often updates are begun, in ms. */
const TICK_MS = 5;

interface LoadUser {
  readonly channel: PresenceChannel;
  readonly subscription: Subscription;
}

/** Users on real connections who join, change their state, and hear each other. */
export class LoadRun {
  readonly tally = new LoadTally();
  readonly #clients: PresenceClient[];
  readonly #users: LoadUser[] = [];
  /** Joins that wait for their answer. */
  readonly #opening = new Set<AbortController>();
  /** Why the first user that could not join could not. */
  #firstFailure: unknown;

  constructor(private readonly plan: LoadPlan) {
    const { address, token, connections } = plan;
    const options = { address, ...(token !== undefined && { token }) };
    this.#clients = Array.from({ length: connections }, () => createPresenceClient(options));
  }

  /** Lets everybody join. Rejects if nobody could. */
  async join(progress: LoadProgress, stop: AbortSignal): Promise<void> {
    const { users } = this.plan;
    progress.begin("joining", users);
    stop.addEventListener("abort", () => {
      for (const opening of this.#opening) opening.abort();
    });
    let next = 0;
    const joinOn = async (): Promise<void> => {
      while (next < users && !stop.aborted) {
        await this.#joinOne(next++, stop);
        progress.at(this.tally.joins);
      }
    };
    await Promise.all(Array.from({ length: JOINING_AT_ONCE }, joinOn));
    if (this.#users.length === 0 && !stop.aborted) throw this.#firstFailure;
  }

  /** Makes updates for as long as the plan says; resolves with the seconds that it was. */
  async update(progress: LoadProgress, stop: AbortSignal): Promise<number> {
    const { durationMs, rate } = this.plan;
    const began = performance.now();
    progress.begin("updating", durationMs);
    const inFlight = new Set<Promise<void>>();
    let expected = 0;
    let begun = 0;
    for (let elapsed = 0; elapsed < durationMs && !stop.aborted; elapsed = performance.now() - began) {
      for (const due = Math.floor((elapsed * rate) / 1000) + 1; begun < due && inFlight.size < MAX_IN_FLIGHT; begun++) {
        const updating = this.#updateOne(begun % this.#users.length).then((heard) => {
          expected += heard;
          inFlight.delete(updating);
        });
        inFlight.add(updating);
      }
      progress.at(elapsed);
      await sleep(TICK_MS);
    }
    const seconds = (performance.now() - began) / 1000;
    await Promise.all(inFlight);
    await this.#heard(() => expected);
    return seconds;
  }

  /** Everybody leaves, and all connections are closed, however far the run had come. */
  async leave(progress: LoadProgress): Promise<void> {
    progress.begin("leaving", this.#clients.length);
    let left = 0;
    await Promise.all(
      this.#clients.map(async (client) => {
        await client.close();
        progress.at(++left);
      }),
    );
  }

  async #joinOne(number: number, stop: AbortSignal): Promise<void> {
    const { prefix, channels, connections, timeoutMs } = this.plan;
    const client = this.#clients[number % connections]!;
    const channel = client.channel(`${prefix}-${number % channels}`, { userId: `${prefix}-${number}` });
    const opening = new AbortController();
    this.#opening.add(opening);
    const timer = setTimeout(() => opening.abort(new DOMException("no answer in time", "TimeoutError")), timeoutMs);
    const subscription = channel.subscribe({ signal: opening.signal });
    try {
      await subscription.ready;
    } catch (error) {
      if (stop.aborted) return;
      this.#firstFailure ??= error;
      this.tally.failed(reasonOf(error));
      return;
    } finally {
      clearTimeout(timer);
      this.#opening.delete(opening);
    }
    this.tally.joins += 1;
    this.#users.push({ channel, subscription });
    this.#read(subscription).catch((error: unknown) => this.tally.failed(reasonOf(error)));
  }

  async #read(subscription: Subscription): Promise<void> {
    for await (const event of subscription) {
      const now = performance.now();
      for (const at of stampsOf(event)) {
        this.tally.deliveries += 1;
        this.tally.latencies.add(now - at);
      }
    }
  }

  /** Resolves with how many are to hear of it; 0 if it failed. */
  async #updateOne(index: number): Promise<number> {
    const { channel, subscription } = this.#users[index]!;
    try {
      const signal = AbortSignal.timeout(this.plan.timeoutMs);
      await channel.setState({ [STAMP]: String(performance.now()) }, { signal });
    } catch (error) {
      this.tally.failed(reasonOf(error));
      return 0;
    }
    this.tally.updates += 1;
    return Math.max(0, subscription.members.size - 1);
  }

  /** Waits for the last deliveries, until there are as many as expected or none came for a second. */
  async #heard(expected: () => number): Promise<void> {
    const patience = Math.min(this.plan.timeoutMs, 1000);
    let seen = -1;
    for (let quiet = 0; this.tally.deliveries < expected() && quiet < patience; quiet += TICK_MS) {
      if (this.tally.deliveries !== seen) quiet = 0;
      seen = this.tally.deliveries;
      await sleep(TICK_MS);
    }
  }
}

/** When the states that an event tells of were written; others than ours write nothing of the kind. */
function stampsOf(event: PresenceEvent): number[] {
  const changed = event.kind === "state_changed" ? [event.state] : event.kind === "interval" ? event.changed : [];
  return changed.map(({ states }) => Number(states[STAMP])).filter((at) => !Number.isNaN(at));
}

function reasonOf(error: unknown): string {
  if (error instanceof PresenceError) return error.reason ?? error.code;
  return isTimeout(error) ? "no answer in time" : String(error);
}
