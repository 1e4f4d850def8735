import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { createPresenceClient, type FeedEvent, type PresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { within } from "../support/deferred.js";
import { FeedUsers } from "../support/feed_users.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";
import { ServerUnderTest } from "../support/server_under_test.js";

const QUICK = { minDelayMs: 1, maxDelayMs: 50 };
const GRPC = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 100 };
/** How long a server process and a connection may take to come back on a busy machine, in milliseconds. */
const RETURN_MS = 60_000;

describe("the client's feed and a server process that is killed", () => {
  let server: ServerUnderTest;
  let presence: PresenceClient;

  beforeEach(async () => {
    server = await ServerUnderTest.start();
    presence = clientOf("back end");
  });

  afterEach(async () => {
    await presence.close();
    await server.stop();
  });

  function clientOf(userId: string): PresenceClient {
    return createPresenceClient({ address: server.address, userId, reconnect: QUICK, channelOptions: GRPC });
  }

  /** The same address, another process, which knows nothing. */
  async function restart(end: "stop" | "terminate"): Promise<void> {
    await server[end]();
    const port = Number(server.address.split(":")[1]);
    server = await ServerUnderTest.start({ listen: { host: "127.0.0.1", port } });
  }

  /** Joins by a lease, from another client. */
  async function join(userId: string, name: string): Promise<void> {
    const other = clientOf(userId);
    await other.channel(name).join({ initialStates: { by: userId } });
    await other.close();
  }

  /** Applies events until the feed shows these users and no others. */
  async function until(
    iterator: AsyncIterator<FeedEvent>,
    view: FeedUsers,
    expected: Record<string, string[]>,
  ): Promise<void> {
    const users = () => Object.fromEntries([...view.channels].map(([key, held]) => [key, [...held.keys()].sort()]));
    const read = async (): Promise<void> => {
      while (!isDeepStrictEqual(users(), expected)) {
        const { value, done } = await iterator.next();
        assert.ok(!done);
        view.apply(value);
      }
    };
    await within(`${JSON.stringify(expected)}, not ${JSON.stringify(users())}`, read(), RETURN_MS);
  }

  for (const end of ["stop", "terminate"] as const) {
    it(`goes on after ${end === "stop" ? "SIGKILL" : "a graceful shutdown"} and a restart, with and without snapshots`, async () => {
      const feed = presence.watchChannels({ withSnapshot: true });
      const [whole, view] = [feed[Symbol.asyncIterator](), new FeedUsers()];
      const [news, seen] = [presence.watchChannels({ prefix: "lob" })[Symbol.asyncIterator](), new FeedUsers()];
      await Promise.all(
        [whole, news].map((iterator, i) => iterator.next().then(({ value }) => [view, seen][i]!.apply(value!))),
      );
      await join("tony", "chat_room");
      await join("tony", "lobby");
      await until(whole, view, { "message:chat_room": ["tony"], "message:lobby": ["tony"] });
      await until(news, seen, { "message:lobby": ["tony"] });
      await restart(end);
      await join("anna", "lobby");
      await until(whole, view, { "message:lobby": ["anna"] });
      // Without snapshots the feed knows of no one who joined while it was away.
      await until(news, seen, {});
      await join("bob", "chat_room");
      await join("bob", "lounge");
      await join("bob", "lobby");
      await until(whole, view, {
        "message:chat_room": ["bob"],
        "message:lobby": ["anna", "bob"],
        "message:lounge": ["bob"],
      });
      assert.deepEqual(view.ofFeed, ["subscribed", "complete", "resync", "complete"]);
      while (!seen.channels.get("message:lobby")?.has("bob")) seen.apply((await news.next()).value!);
      assert.deepEqual(seen.ofFeed, ["subscribed", "resync"]);
      assert.equal(feed.status.state, "live");
      await whole.return!();
      await news.return!();
    });
  }

  it("goes on for a loop that rested during the restart, with what came before first", async () => {
    const iterator = presence.watchChannels({ withSnapshot: true })[Symbol.asyncIterator]();
    const view = new FeedUsers();
    view.apply((await iterator.next()).value!);
    for (let i = 0; i < 20; i++) await join(`user ${i}`, "chat_room");
    await restart("stop");
    await join("anna", "lobby");
    await until(iterator, view, { "message:lobby": ["anna"] });
    await iterator.return!();
  });
});

describe("the client's feed that the server ended because it read nothing", () => {
  it("goes on when its loop does, with what came before first, then `resync`", async () => {
    const clock = new ManualClock();
    const metrics = { host: "127.0.0.1", port: 0 };
    const server = await startTestServer({ readerBuffer: 4096, laggingTimeout: 60_000, metrics }, { clock });
    const presence = createPresenceClient({ address: server.address, userId: "back end", reconnect: QUICK });
    const other = createPresenceClient({ address: server.address, userId: "tony" });
    try {
      const iterator = presence.watchChannels({ withSnapshot: true })[Symbol.asyncIterator]();
      const view = new FeedUsers();
      view.apply((await iterator.next()).value!);
      const watchers = (state: string) => gauge(server.metricsAddress, `rollcall_watchers{state="${state}"}`);
      const rooms = Array.from({ length: 20 }, (_, i) => other.channel(`room ${i}`));
      for (const room of rooms) await room.join({ ttlMs: 300_000 });
      for (let i = 0; (await watchers("resyncing")) === 0; i++) {
        assert.ok(i < 5000, "the watcher is never too slow");
        await rooms[i % 20]!.setState({ i: `${i}`, pad: "x".repeat(4000) });
      }
      // Vacant when the feed returns.
      await rooms[0]!.leave({ all: true });
      clock.advance(60_000);
      while (!(view.ofFeed.includes("resync") && view.ofFeed.at(-1) === "complete")) {
        view.apply((await within("the next event", iterator.next())).value!);
      }
      assert.deepEqual(
        [...view.channels.keys()].sort(),
        rooms
          .slice(1)
          .map(({ name }) => `message:${name}`)
          .sort(),
      );
    } finally {
      await Promise.all([presence.close(), other.close()]);
      await server.close();
    }
  });
});

describe("the client's feeds that end early", () => {
  let server: RollcallServer;
  let presence: PresenceClient;
  const clients: PresenceClient[] = [];

  beforeEach(async () => {
    server = await startTestServer({ metrics: { host: "127.0.0.1", port: 0 } });
    presence = createPresenceClient({ address: server.address, userId: "back end" });
  });

  afterEach(async () => {
    await Promise.all([presence, ...clients.splice(0)].map((client) => client.close()));
    await server.close();
  });

  const watchers = () => gauge(server.metricsAddress, 'rollcall_watchers{state="live"}');

  /** Waits until the server has no feed but `count`, after a call that was sent behind those of the feeds. */
  async function remain(count: number): Promise<void> {
    await presence.channel("any").count();
    const gone = async (): Promise<void> => {
      while ((await watchers()) !== count);
    };
    await within(`${count} feeds on the server`, gone());
  }

  const ends: Record<string, (client: PresenceClient) => Promise<unknown>> = {
    "a loop that is left at its first event": async (client) => {
      for await (const _ of client.watchChannels()) break;
    },
    "return() in the tick of the first next()": async (client) => {
      const iterator = client.watchChannels()[Symbol.asyncIterator]();
      const first = iterator.next();
      await iterator.return!();
      assert.equal((await first).done, true);
    },
    "close() in the tick of the first next()": async (client) => {
      const feed = client.watchChannels();
      const first = feed[Symbol.asyncIterator]().next();
      await feed.close();
      assert.equal((await first).done, true);
    },
    "a signal that is aborted in the tick of the first next()": async (client) => {
      const controller = new AbortController();
      const first = client.watchChannels({ signal: controller.signal })[Symbol.asyncIterator]().next();
      controller.abort(new Error("enough"));
      await assert.rejects(first, /enough/);
    },
    "a signal that was aborted before": async (client) => {
      const signal = AbortSignal.abort(new Error("enough"));
      await assert.rejects(client.watchChannels({ signal })[Symbol.asyncIterator]().next(), /enough/);
    },
    "close() before the first next()": async (client) => {
      const feed = client.watchChannels();
      await feed.close();
      for await (const _ of feed) assert.fail("an event of a closed feed");
    },
    "closing the client in the tick of the first next()": async (client) => {
      const first = client.watchChannels()[Symbol.asyncIterator]().next();
      await client.close();
      assert.equal((await first).done, true);
    },
  };
  for (const [way, end] of Object.entries(ends)) {
    it(`leave no call open on the server: ${way}`, async () => {
      const kept = presence.watchChannels()[Symbol.asyncIterator]();
      await kept.next();
      for (let i = 0; i < 40; i++) {
        // A connection that is open, and one that is still to be made.
        const client = createPresenceClient({ address: server.address, userId: "back end" });
        clients.push(client);
        if (i % 2 === 0) await client.channel("any").count();
        await end(client);
        if (!way.startsWith("closing")) await end(client);
      }
      await remain(1);
      await kept.return!();
      await remain(0);
    });
  }

  it("leave no call open on the server: 40 iterations of one feed that are left in one tick, and one that goes on", async () => {
    const feed = presence.watchChannels();
    const kept = feed[Symbol.asyncIterator]();
    await kept.next();
    const left = Array.from({ length: 40 }, () => feed[Symbol.asyncIterator]());
    for (const iterator of left) void iterator.next();
    await Promise.all(left.map((iterator) => iterator.return!()));
    await remain(1);
    await presence.channel("room").join();
    assert.equal((await kept.next()).value?.kind, "occupied");
  });
});
