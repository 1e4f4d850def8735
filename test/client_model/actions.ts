import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { StateResult } from "../../src/client/index.js";
import { CHANNELS, type Command, DEVICES, KEYS, type Step, type Subscribing } from "./commands.js";
import type { Device, HeldLease } from "./device.js";
import type { Write } from "./own_state.js";
import type { Place, Round } from "./round.js";
import { Viewer } from "./viewer.js";
import { Watcher } from "./watcher.js";

const LEASE_MS = 20_000;
/** More subscriptions of a device would meet the server's limit of sessions. */
const MOST_VIEWERS = 4;
const MOST_WATCHERS = 2;
const PAUSE_MS = 3;

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;

/** Carries out the commands of a round. Calls go on in the background; the round's model records their start and their result. */
export class Actions {
  readonly trace: string[] = [];
  #subscriptions = 0;

  constructor(private readonly round: Round) {}

  async carryOut({ user, device: index, command, wait }: Step): Promise<void> {
    const { round } = this;
    const device = round.devices[user * DEVICES.length + index]!;
    this.trace.push(`${round.now()} ${device.label}: ${JSON.stringify(command)}${wait === "none" ? "" : `, ${wait}`}`);
    await this.#do(device, command);
    if (wait === "turn") await turn();
    if (wait === "pause") await sleep(PAUSE_MS);
  }

  async #do(device: Device, command: Command): Promise<void> {
    const { round } = this;
    switch (command.kind) {
      case "set":
        return this.#set(device, command);
      case "remove":
        return this.#remove(device, command);
      case "batch":
        return this.#batch(device, command);
      case "subscribe":
        if (device.openViewers.length < MOST_VIEWERS) this.#subscribe(device, command);
        return;
      case "glimpse":
        return this.#glimpse(device, command);
      case "end":
        return this.#end(device, chosen(device.openViewers, command.which), command.by);
      case "leave":
        return this.#leave(device, command);
      case "join":
        return this.#join(device, command);
      case "heartbeat":
        return this.#heartbeat(device);
      case "leaveLease":
        return this.#leaveLease(device, chosen(device.leases, command.which));
      case "watch":
        if (device.openWatchers.length < MOST_WATCHERS) this.#watch(device, command.isSlow);
        return;
      case "unwatch":
        return this.#unwatch(device, chosen(device.openWatchers, command.which), command.by);
      case "glance":
        return this.#unwatch(device, this.#watch(device, false), command.by);
      case "read":
        return this.#read(device, command);
      case "reopen":
        return this.#reopen(device);
      case "network":
        return device.suffer(command.fault);
      case "skip":
        // The ends of connections that were cut reach the server first.
        await sleep(PAUSE_MS);
        return round.skip();
      case "restart":
        return round.restart(command.drain);
      case "step":
        for (const one of [...round.viewers, ...round.watchers]) one.step();
        return;
      case "settle":
        for (let n = 0; n < 100 && round.calls.inFlight.some((call) => call.device.isFlowing); n++) await sleep(1);
    }
  }

  #set(device: Device, command: CommandOf<"set">): void {
    const { round } = this;
    const place = round.place(device.userId, command.channel);
    const states = round.newStates(command.keys);
    const change = new Map<string, string | undefined>(command.replace ? KEYS.map((key) => [key, undefined]) : []);
    for (const [key, value] of Object.entries(states)) change.set(key, value);
    const expected = this.#expected(place, command.expected);
    const abort = new AbortController();
    const start = round.now();
    const write = place.own.begin(change, start);
    const promise = device
      .channel(command.channel)
      .setState(states, { replace: command.replace, expectedRevision: expected?.revision, signal: abort.signal });
    this.#followWrite(`${start} setState`, device, place, write, promise, abort.signal).then((result) => {
      if (!result || !expected || expected.revision === 0n) return;
      if (!place.own.changedBetween(expected.at, start)) return;
      round.problems.push(`${start} setState with a revision of an older state succeeded`);
    });
    if (command.abort) abort.abort();
  }

  #expected(place: Place, expected: CommandOf<"set">["expected"]): Place["known"][number] | undefined {
    if (expected === "zero") return { revision: 0n, at: 0 };
    return expected && place.known.at(expected === "right" ? -1 : -2);
  }

  #remove(device: Device, { channel, keys }: CommandOf<"remove">): void {
    const place = this.round.place(device.userId, channel);
    const change = new Map((keys.length === 0 ? KEYS : keys).map((key) => [key, undefined]));
    const start = this.round.now();
    const write = place.own.begin(change, start);
    void this.#followWrite(`${start} removeState`, device, place, write, device.channel(channel).removeState(keys));
  }

  #batch(device: Device, command: CommandOf<"batch">): void {
    const { round } = this;
    const start = round.now();
    const entries = command.entries.map(({ channel, keys }) => {
      const states = round.newStates(keys);
      const place = round.place(device.userId, channel);
      return { place, write: place.own.begin(new Map(Object.entries(states)), start), states };
    });
    const given = entries.map(({ place, states }) => ({ channel: { ...CHANNELS[place.channel]! }, states }));
    void round.calls.follow(`${start} setStates`, device, device.client.setStates(given)).then((results) => {
      results?.forEach((result, i) => {
        const { place, write } = entries[i]!;
        if (result.ok) this.#done(place, write, result.value.state.revision);
        else round.problems.push(`${start} setStates: entry ${i} failed: ${result.error}`);
      });
    });
  }

  #subscribe(device: Device, how: Subscribing, signal?: AbortSignal): Viewer {
    const { round } = this;
    const place = round.place(device.userId, how.channel);
    const initialStates = round.newStates(how.keys);
    const start = round.now();
    const write = how.keys.length > 0 ? place.own.begin(new Map(Object.entries(initialStates)), start) : undefined;
    const viewer = new Viewer({
      label: `${device.label}, subscription ${++this.#subscriptions} to channel ${how.channel}`,
      userId: device.userId,
      channel: how.channel,
      how,
      now: round.now,
      onFirstLive: () => {
        // A quiet session may find its user absent, and the state is pending then.
        if (write && !how.quiet) finish(write, round.now());
      },
      subscribe: (onStatus, own) => {
        const { quiet, withPresence, includeSelf } = how;
        const options = { quiet, withPresence, includeSelf, initialStates, onStatus, signal: signal ?? own };
        return device.channel(how.channel).subscribe(options);
      },
    });
    device.viewers.push(viewer);
    return viewer;
  }

  #glimpse(device: Device, { by, ...how }: CommandOf<"glimpse">): void {
    if (by !== "aborted") {
      this.#end(device, this.#subscribe(device, how), by);
      return;
    }
    const viewer = this.#subscribe(device, how, AbortSignal.abort());
    viewer.mayEnd = true;
  }

  #end(device: Device, viewer: Viewer | undefined, by: CommandOf<"end">["by"]): void {
    if (!viewer) return;
    const { round } = this;
    viewer.mayEnd = true;
    // Until `close()` resolves, and for as long as its leave may not have arrived.
    const place = round.place(viewer.userId, viewer.channel);
    if (by === "abort") viewer.abort.abort();
    const ending = by === "return" ? viewer.return() : viewer.subscription.close();
    void round.calls.follow(`${round.now()} end of ${viewer.label}`, device, ending).then(() => {
      if (device.isDisturbed) place.mayHaveGhosts = true;
    });
  }

  #leave(device: Device, { channel, which, scope }: CommandOf<"leave">): void {
    const { round } = this;
    const viewers = device.openViewers.filter((viewer) => viewer.channel === channel);
    const viewer = scope === "session" ? chosen(viewers, which) : undefined;
    const sessionId = viewer?.subscription.sessionId;
    if (scope === "session" && sessionId === undefined) return;
    for (const ending of viewer ? [viewer] : viewers) ending.mayEnd = true;
    if (!viewer) device.left.add(channel);
    const place = round.place(device.userId, channel);
    const leaving = device.channel(channel).leave({ sessionId });
    void round.calls.follow(`${round.now()} leave`, device, leaving, { reasons: ["SESSION_NOT_FOUND"] }).then(() => {
      if (device.isDisturbed) place.mayHaveGhosts = true;
    });
  }

  #join(device: Device, { channel, keys }: CommandOf<"join">): void {
    const { round } = this;
    const place = round.place(device.userId, channel);
    const initialStates = round.newStates(keys);
    const start = round.now();
    const write = place.own.begin(new Map(Object.entries(initialStates)), start);
    const joining = device.channel(channel).join({ initialStates, ttlMs: LEASE_MS });
    void round.calls.follow(`${start} join`, device, joining).then((lease) => {
      if (lease) {
        this.#done(place, write, lease.state.revision);
        device.leases.push({ sessionId: lease.sessionId, channel, joinedAt: start, mayEnd: false });
      } else {
        place.mayHaveGhosts = true;
      }
    });
  }

  #heartbeat(device: Device): void {
    const ids = device.leases.map(({ sessionId }) => sessionId);
    if (ids.length > 0) void this.round.calls.follow("heartbeat", device, device.client.heartbeat(ids));
  }

  #leaveLease(device: Device, lease: HeldLease | undefined): void {
    if (!lease) return;
    lease.mayEnd = true;
    const leaving = device.channel(lease.channel).leave({ sessionId: lease.sessionId });
    void this.round.calls.follow("leave of a lease", device, leaving, { reasons: ["SESSION_NOT_FOUND"] });
  }

  #watch(device: Device, isSlow: boolean): Watcher {
    const watcher = new Watcher(`${device.label}, feed ${++this.#subscriptions}`, device.client, isSlow);
    device.watchers.push(watcher);
    return watcher;
  }

  #unwatch(device: Device, watcher: Watcher | undefined, by: CommandOf<"unwatch">["by"]): void {
    if (!watcher) return;
    watcher.mayEnd = true;
    if (by === "abort") watcher.abort.abort();
    const ending = by === "return" ? watcher.return() : watcher.feed.close();
    void this.round.calls.follow(`${this.round.now()} end of ${watcher.label}`, device, ending);
  }

  #read(device: Device, { channel, what }: CommandOf<"read">): void {
    const room = device.channel(channel);
    const read = async (): Promise<void> => {
      if (what === "state") await room.getState();
      if (what === "count") await room.count();
      if (what === "users") for await (const _ of room.onlineUsers({ includeStates: true, pageSize: 1 }));
      if (what === "channels") for await (const _ of device.client.channelsOf(undefined, { pageSize: 1 }));
    };
    void this.round.calls.follow(`read ${what}`, device, read(), { reasons: ["PRESENCE_USER_NOT_EXIST"] });
  }

  #reopen(device: Device): void {
    const { round } = this;
    device.wasReopened = true;
    for (const watcher of device.openWatchers) watcher.mayEnd = true;
    const places = device.openViewers.map((viewer) => {
      viewer.mayEnd = true;
      return round.place(viewer.userId, viewer.channel);
    });
    void round.calls.follow(`${round.now()} close of a client`, device, device.reopen()).then(() => {
      if (device.isDisturbed) for (const place of places) place.mayHaveGhosts = true;
    });
  }

  async #followWrite(
    label: string,
    device: Device,
    place: Place,
    write: Write,
    promise: Promise<StateResult>,
    signal?: AbortSignal,
  ): Promise<StateResult | undefined> {
    let isRefused = false;
    promise.catch((error) => {
      isRefused = error?.reason === "STATE_REVISION_MISMATCH";
    });
    const allowed = { reasons: ["STATE_REVISION_MISMATCH"], signal };
    const result = await this.round.calls.follow(label, device, promise, allowed);
    if (result) this.#done(place, write, result.state.revision);
    else if (isRefused) write.outcome = "refused";
    return result;
  }

  #done(place: Place, write: Write, revision: bigint): void {
    const at = this.round.now();
    finish(write, at);
    if (place.known.at(-1)?.revision !== revision) place.known.push({ revision, at });
  }
}

function finish(write: Write, at: number): void {
  write.end = at;
  write.outcome = "done";
}

function chosen<T>(among: readonly T[], which: number): T | undefined {
  return among[which % among.length];
}
