import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { createPresenceClient, type FeedEvent, type PresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { type Deferred, deferred, within } from "../support/deferred.js";
import { FeedUsers } from "../support/feed_users.js";
import { gauge } from "../support/gauge.js";
import { property } from "../support/property.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const NAMES = ["a1", "a2", "b1"];
/** How long a watcher may take to catch up on a busy machine, in milliseconds. */
const CATCH_UP_MS = 60_000;

type Action =
  | { readonly do: "join" | "leave" | "set" | "leaveAll"; readonly user: number; readonly name: number }
  | { readonly do: "burst"; readonly name: number; readonly vacates: boolean }
  | { readonly do: "rest" | "goOn"; readonly watcher: number }
  | { readonly do: "visit"; readonly events: number }
  | { readonly do: "cut" | "reset" | "away" | "back" | "restart" };

const user = fc.nat(5);
const name = fc.nat(NAMES.length - 1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom("join", "leave", "set", "leaveAll"), user, name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("burst"), name, vacates: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("rest", "rest", "goOn"), watcher: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("visit"), events: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("cut", "reset", "away", "back", "restart") }) },
) as fc.Arbitrary<Action>;

/** Reads a feed by a loop that can be made to rest. */
class Watcher {
  readonly view = new FeedUsers();
  #resting: Deferred<void> | undefined;
  readonly #iterator: AsyncIterator<FeedEvent>;
  readonly reading: Promise<void>;

  constructor(
    presence: PresenceClient,
    readonly isWatched: (name: string) => boolean,
    options: Parameters<PresenceClient["watchChannels"]>[0],
  ) {
    this.#iterator = presence.watchChannels({ ...options, withSnapshot: true })[Symbol.asyncIterator]();
    this.reading = this.#read();
    this.reading.catch(() => {});
  }

  rest(): void {
    this.#resting ??= deferred();
  }

  goOn(): void {
    this.#resting?.resolve();
    this.#resting = undefined;
  }

  async leave(): Promise<void> {
    this.goOn();
    await this.#iterator.return!();
    await this.reading;
  }

  async #read(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#iterator.next();
      if (done) return;
      this.view.apply(value);
      await this.#resting?.promise;
    }
  }
}

/** A server at one port, a proxy before it, a client with three feeds behind that, and users that come and go. */
class World {
  readonly #watchers: Watcher[];
  readonly #presence: PresenceClient;
  readonly #direct: PresenceClient;
  #server: RollcallServer;
  #count = 0;

  private constructor(
    server: RollcallServer,
    private readonly proxy: TcpProxy,
  ) {
    this.#server = server;
    const client = (address: string) =>
      createPresenceClient({
        address,
        userId: "back end",
        reconnect: { minDelayMs: 1, maxDelayMs: 20 },
        channelOptions: { "grpc.initial_reconnect_backoff_ms": 20, "grpc.max_reconnect_backoff_ms": 20 },
      });
    this.#presence = client(proxy.address);
    this.#direct = client(server.address);
    this.#watchers = [
      new Watcher(this.#presence, () => true, {}),
      new Watcher(this.#presence, (given) => given.startsWith("a"), { prefix: "a" }),
      new Watcher(this.#presence, (given) => given === "b1", { channels: [{ type: "message", name: "b1" }] }),
    ];
  }

  static async start(): Promise<World> {
    const server = await World.#serve(0);
    return new World(server, await TcpProxy.to(server.address));
  }

  static #serve(port: number): Promise<RollcallServer> {
    return startTestServer({
      listen: { host: "127.0.0.1", port },
      metrics: { host: "127.0.0.1", port: 0 },
      readerBuffer: 4096,
    });
  }

  async act(step: Action): Promise<void> {
    this.#count++;
    switch (step.do) {
      case "rest":
      case "goOn":
        this.#watchers[step.watcher]![step.do]();
        return;
      case "visit":
        // Ends at a random moment, also in the tick in which it begins.
        void this.#visit(step.events);
        return;
      case "cut":
      case "reset":
        this.proxy[step.do]();
        return;
      case "away":
        this.proxy.refuse();
        return;
      case "back":
        this.proxy.flow();
        return;
      case "restart":
        await this.#restart();
        return;
      case "burst":
        await this.#burst(step.name);
        if (step.vacates) await this.#actAs({ do: "leaveAll", user: 0, name: step.name });
        return;
      default:
        await this.#actAs(step);
    }
  }

  /** Lets everything rest, and waits until each view is what the server says. */
  async settle(): Promise<void> {
    this.proxy.flow();
    for (const watcher of this.#watchers) watcher.goOn();
    // Behind everything that happened before. The other channels may stay vacant.
    await this.#direct.channel(NAMES[this.#count % NAMES.length]!, { userId: "last" }).join();
    const truth = await this.#truth();
    for (const { view, isWatched, reading } of this.#watchers) {
      const expected = new Map([...truth].filter(([key]) => isWatched(key.slice("message:".length))));
      const equal = async (): Promise<void> => {
        while (!isDeepStrictEqual(view.channels, expected)) await new Promise((go) => setImmediate(go));
      };
      await within("the view of a feed", Promise.race([equal(), reading]), CATCH_UP_MS).catch(() => {});
      assert.deepEqual(view.channels, expected);
      assert.equal(view.ofFeed[0], "subscribed");
      assert.equal(view.ofFeed.lastIndexOf("subscribed"), 0);
    }
    await this.#remain(this.#watchers.length);
    for (const watcher of this.#watchers) await watcher.leave();
    await this.#remain(0);
  }

  async end(): Promise<void> {
    for (const watcher of this.#watchers) watcher.goOn();
    await Promise.all([this.#presence.close(), this.#direct.close()]);
    await this.proxy.close();
    await this.#server.close();
  }

  async #actAs({ do: what, user, name }: Extract<Action, { user: number }>): Promise<void> {
    if (what === "set") return this.#set(user, name, "");
    if (what === "leaveAll") {
      for (let i = 0; i < 6; i++) await this.#actAs({ do: "leave", user: i, name });
      return;
    }
    const room = this.#direct.channel(NAMES[name]!, { userId: `user ${user}` });
    if (what === "join") await room.join({ initialStates: { n: `${this.#count}` } });
    else await room.leave({ all: true }).catch(() => {});
  }

  async #set(user: number, name: number, pad: string): Promise<void> {
    this.#count++;
    await this.#direct.channel(NAMES[name]!, { userId: `user ${user}` }).setState({ n: `${this.#count}`, pad });
  }

  /** More than a resting loop's connection holds, so that the server has to drop events. */
  async #burst(name: number): Promise<void> {
    const users = [0, 1, 2, 3, 4, 5];
    await Promise.all(users.map((user) => this.#actAs({ do: "join", user, name })));
    for (let i = 0; i < 15; i++) await Promise.all(users.map((user) => this.#set(user, name, "x".repeat(4000))));
  }

  async #visit(events: number): Promise<void> {
    const iterator = this.#presence.watchChannels({ withSnapshot: true })[Symbol.asyncIterator]();
    void iterator.next().catch(() => {});
    for (let i = 0; i < events; i++) await new Promise((go) => setImmediate(go));
    await iterator.return!();
  }

  async #restart(): Promise<void> {
    const port = Number(this.#server.address.split(":")[1]);
    // The connections are cut first: a server that shuts down gracefully makes its clients wait for seconds.
    this.proxy.refuse();
    await this.#server.close();
    this.#server = await World.#serve(port);
    this.proxy.flow();
    await this.#reach();
  }

  /** Calls until the connection past the proxy is there again. */
  async #reach(): Promise<void> {
    const reached = async (): Promise<void> => {
      while (
        (await this.#direct
          .channel("any")
          .count()
          .catch(() => undefined)) === undefined
      );
    };
    await within("the restarted server", reached(), CATCH_UP_MS);
  }

  async #truth(): Promise<FeedUsers["channels"]> {
    const truth: FeedUsers["channels"] = new Map();
    for (const channel of NAMES) {
      const users = new Map<string, Record<string, string>>();
      for await (const { userId, states } of this.#direct.channel(channel).onlineUsers({ includeStates: true })) {
        users.set(userId, { ...states });
      }
      if (users.size > 0) truth.set(`message:${channel}`, users);
    }
    return truth;
  }

  async #remain(count: number): Promise<void> {
    const states = ["live", "lagging", "resyncing"].map((state) => `rollcall_watchers{state="${state}"}`);
    const open = async (): Promise<number> => {
      const counts = await Promise.all(states.map((state) => gauge(this.#server.metricsAddress, state)));
      return counts.reduce((sum, each) => sum + each);
    };
    const remained = async (): Promise<void> => {
      while ((await open()) !== count);
    };
    await within(`${count} feeds on the server`, remained(), CATCH_UP_MS);
  }
}

describe("the client's feeds amid cuts and restarts", () => {
  property(
    "hold what the server holds, when all channels are forgotten at `resync` and `out_of_service`",
    [fc.array(action, { minLength: 20, maxLength: 80 })],
    async (actions) => {
      const world = await World.start();
      try {
        for (const step of actions) await world.act(step);
        await world.settle();
      } finally {
        await world.end();
      }
    },
    { runs: 10 },
  );
});
