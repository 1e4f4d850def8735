import { Calls } from "./calls.js";
import { CHANNELS, DEVICES, type Plan, USERS } from "./commands.js";
import { Device, type HeldLease } from "./device.js";
import { OwnState } from "./own_state.js";
import { RestartingServer } from "./restarting_server.js";
import type { Viewer } from "./viewer.js";
import type { Watcher } from "./watcher.js";

/** Longer than any presence timeout and lease of a round, in ms. */
const LONG_MS = 31_000;

/** How a round's clients are made. */
export interface RoundOptions {
  /** Whether each client says which device it is. */
  readonly withDeviceIds: boolean;
}

/** One user in one channel. */
export interface Place {
  readonly userId: string;
  readonly channel: number;
  readonly own: OwnState;
  /** States that were seen, oldest first: their revisions, and when. */
  known: { readonly revision: bigint; readonly at: number }[];
  /** Whether a session may exist that no client knows any more. */
  mayHaveGhosts: boolean;
}

/** Users, devices, the networks between, and a server. */
export class Round {
  readonly server: RestartingServer;
  readonly calls = new Calls();
  /** What was wrong on the way, as lines for a report. */
  readonly problems: string[] = [];
  readonly places: readonly Place[] = USERS.flatMap((userId) =>
    CHANNELS.map((_, channel) => ({ userId, channel, own: new OwnState(), known: [], mayHaveGhosts: false })),
  );
  devices: readonly Device[] = [];
  #leasesEndedAt = 0;
  #time = 0;
  #values = 0;
  #restarting: Promise<void> | undefined;

  private constructor(plan: Plan) {
    this.server = new RestartingServer(plan.settings);
  }

  static async start(plan: Plan, { withDeviceIds }: RoundOptions): Promise<Round> {
    const round = new Round(plan);
    await round.server.start();
    const { address } = round.server;
    const who = USERS.flatMap((userId) => DEVICES.map((name) => ({ userId, name })));
    round.devices = await Promise.all(
      who.map(({ userId, name }) => Device.start(address, userId, name, withDeviceIds ? name : undefined)),
    );
    return round;
  }

  /** A new point in time, later than all before. */
  readonly now = (): number => ++this.#time;

  /** States with values that were never set before. */
  newStates(keys: readonly string[]): Record<string, string> {
    return Object.fromEntries(keys.map((key) => [key, `${++this.#values}`]));
  }

  get viewers(): Viewer[] {
    return this.devices.flatMap(({ viewers }) => viewers);
  }

  get watchers(): Watcher[] {
    return this.devices.flatMap(({ watchers }) => watchers);
  }

  place(userId: string, channel: number): Place {
    return this.places.find((place) => place.userId === userId && place.channel === channel)!;
  }

  /** Whether a lease must be alive. */
  isKept({ joinedAt, mayEnd }: HeldLease): boolean {
    return !mayEnd && joinedAt > this.#leasesEndedAt;
  }

  /** Lets the server's time pass for longer than any presence timeout and lease. */
  skip(): void {
    this.server.clock.skip(LONG_MS);
    this.#leasesEndedAt = this.now();
  }

  /** Restarts the server, after a graceful shutdown or by killing it; goes on in the background. */
  restart(drain: boolean): void {
    if (this.#restarting) return;
    this.#restarting = this.#restart(drain).finally(() => {
      this.#restarting = undefined;
    });
  }

  /** Heals every network; resolves when the server runs. */
  async heal(): Promise<void> {
    await this.#restarting;
    for (const device of this.devices) device.suffer("flow");
  }

  async close(): Promise<void> {
    await this.#restarting;
    await Promise.all(this.devices.map((device) => device.close()));
    await this.server.stop();
  }

  async #restart(drain: boolean): Promise<void> {
    this.#leasesEndedAt = this.now();
    for (const device of this.devices) device.onServerEnds(!drain);
    await this.server.stop();
    this.#leasesEndedAt = this.now();
    await this.server.start();
    for (const device of this.devices) device.onServerStarted();
  }
}
