import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { ChannelType } from "../../../gen/presence/v1/presence_pb.js";
import type { WatchChannelsRequest } from "../../../gen/presence/v1/presence_service_pb.js";
import {
  createPresenceClient,
  type FeedEvent,
  type PresenceClient,
  type WatchChannelsOptions,
} from "../../../src/client/index.js";
import {
  at,
  changed,
  type EventInit,
  FakeService,
  type FakeStream,
  join,
  leave,
  NOON,
  reasonDetail,
  refusal,
  snapshot,
  user,
} from "./fake_service.js";

/** An event without a channel. */
function ofFeed(event: EventInit["event"]): EventInit {
  return { time: { seconds: BigInt(NOON.getTime() / 1000), nanos: 0 }, event };
}

const begun = ofFeed({ case: "subscribed", value: {} });
const complete = ofFeed({ case: "snapshot", value: { last: true } });
const chat = { type: "message", name: "chat_room" } as const;

/** The event in another channel. */
function elsewhere(event: EventInit): EventInit {
  return { ...event, channel: { type: ChannelType.STREAM, name: "stage" } };
}

describe("feeds of the client", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  it("asks for channels, prefix and snapshots, and for all channels where nothing is said", async () => {
    const asked: unknown[] = [];
    for (const options of [{ channels: [chat], prefix: "game_", withSnapshot: true }, undefined]) {
      const iterator = presence.watchChannels(options)[Symbol.asyncIterator]();
      const first = iterator.next();
      const stream = await service.nextStream();
      stream.send(begun);
      assert.deepEqual((await first).value, { kind: "subscribed", channel: undefined, time: NOON });
      const { channels, prefix, withSnapshot } = stream.request as unknown as WatchChannelsRequest;
      asked.push([channels.map(({ type, name }) => [type, name]), prefix, withSnapshot]);
      await iterator.return!();
      await stream.cancelled;
    }
    assert.deepEqual(asked, [
      [[[ChannelType.MESSAGE, "chat_room"]], "game_", true],
      [[], "", false],
    ]);
  });

  it("gives each event its channel, and puts chunks together channel by channel", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(
      begun,
      snapshot(3, [user("anna")], false),
      elsewhere({ ...join(1, "tony"), userId: "", event: { case: "channelOccupied", value: {} } }),
      elsewhere(join(1, "tony")),
      elsewhere(snapshot(2, [user("tony")])),
      snapshot(3, [user("bob")]),
      complete,
      changed(4, "anna", { Mic: "True" }),
      { ...leave(5, "anna"), event: undefined },
      leave(6, "anna"),
      { ...leave(6, ""), event: { case: "channelVacated", value: {} } },
      ofFeed({ case: "outOfService", value: { description: "too slow" } }),
    );
    stream.end();
    const events = [(await first).value!];
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) events.push(next.value);
    const stage = { type: "stream", name: "stage" };
    assert.deepEqual(
      events.map((event) => [event.kind, event.channel]),
      [
        ["subscribed", undefined],
        ["occupied", stage],
        ["join", stage],
        ["snapshot", stage],
        ["snapshot", chat],
        ["complete", undefined],
        ["state_changed", chat],
        ["leave", chat],
        ["vacated", chat],
        ["out_of_service", undefined],
      ],
    );
    const [, occupied, , , whole] = events;
    assert.deepEqual(occupied, { kind: "occupied", channel: stage, position: at(1), time: NOON });
    assert.ok(whole?.kind === "snapshot");
    assert.deepEqual([...whole.members.keys()], ["anna", "bob"]);
  });

  it("voids an unfinished snapshot when events were lost", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    const lost = ofFeed({ case: "outOfService", value: { description: "too slow" } });
    stream.send(begun, snapshot(3, [user("anna")], false), lost, snapshot(3, [user("bob")]));
    await first;
    await iterator.next();
    const { value } = await iterator.next();
    assert.ok(value?.kind === "snapshot");
    assert.deepEqual([...value.members.keys()], ["bob"]);
    await iterator.return!();
  });

  it("fails with a PresenceError, once", async () => {
    const iterator = presence.watchChannels()[Symbol.asyncIterator]();
    const first = iterator.next();
    (await service.nextStream()).fail(refusal(grpc.status.PERMISSION_DENIED, "not you"));
    await assert.rejects(first, { name: "PresenceError", code: "PERMISSION_DENIED" });
    assert.equal((await iterator.next()).done, true);
  });

  it("is ended by close(), by leaving the loop, and by closing the client, on the server too", async () => {
    const ends = [
      (feed: ReturnType<PresenceClient["watchChannels"]>) => feed.close(),
      (feed: ReturnType<PresenceClient["watchChannels"]>) => feed[Symbol.asyncDispose](),
      () => presence.close(),
    ];
    for (const end of ends) {
      const feed = presence.watchChannels();
      const iterator = feed[Symbol.asyncIterator]();
      const first = iterator.next();
      const stream = await service.nextStream();
      stream.send(begun);
      await first;
      const waiting = iterator.next();
      await end(feed);
      assert.deepEqual(await waiting, { done: true, value: undefined });
      await stream.cancelled;
    }
  });
});

describe("feeds of the client whose stream is lost", () => {
  const SOON = { minDelayMs: 1, maxDelayMs: 5 };
  const NEVER = { minDelayMs: 2 ** 31 - 1, maxDelayMs: 2 ** 31 - 1 };
  const LOST = { code: grpc.status.UNAVAILABLE, details: "lost" };

  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address, reconnect: SOON });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  /** A feed whose stream has begun, with its iterator behind `subscribed`. */
  async function live(options: WatchChannelsOptions = {}) {
    const feed = presence.watchChannels(options);
    const iterator = feed[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(begun);
    assert.equal((await first).value?.kind, "subscribed");
    return { feed, iterator, stream };
  }

  /** Waits until the feed waits for its next try, which is never. */
  async function lose({ feed, stream }: Awaited<ReturnType<typeof live>>): Promise<void> {
    stream.fail(LOST);
    while (feed.status.state !== "reconnecting") await turn();
  }

  async function kinds(iterator: AsyncIterator<FeedEvent, undefined>, count: number): Promise<unknown[]> {
    const seen: unknown[] = [];
    while (seen.length < count) seen.push((await iterator.next()).value?.kind);
    return seen;
  }

  it("are opened again with the same request: `resync` comes first, without an unfinished snapshot", async () => {
    const { iterator, stream } = await live({ channels: [chat], prefix: "game_", withSnapshot: true });
    stream.send(elsewhere(snapshot(1, [user("anna")])), snapshot(3, [user("half")], false));
    assert.equal((await iterator.next()).value?.kind, "snapshot");
    const next = iterator.next();
    stream.fail(LOST);
    const again = await service.nextStream();
    assert.deepEqual(again.request, stream.request);
    again.send(begun, snapshot(3, [user("tony")]), complete, leave(4, "tony"));
    assert.deepEqual(await next, { done: false, value: { kind: "resync", channel: undefined, time: NOON } });
    const { value } = await iterator.next();
    assert.ok(value?.kind === "snapshot");
    assert.deepEqual([...value.members.keys()], ["tony"]);
    assert.deepEqual(await kinds(iterator, 2), ["complete", "leave"]);
  });

  it("say `resync` at each return, and `subscribed` once", async () => {
    const { iterator, stream } = await live();
    stream.fail(LOST);
    for (let i = 0; i < 3; i++) {
      const again = await service.nextStream();
      again.send(begun, join(3, "tony"));
      assert.deepEqual(await kinds(iterator, 2), ["resync", "join"]);
      again.fail(LOST);
    }
  });

  it("answer calls of next() that wait together in their order", async () => {
    const { iterator, stream } = await live();
    const waiting = [iterator.next(), iterator.next(), iterator.next()];
    stream.send(join(3, "tony"));
    stream.fail(LOST);
    (await service.nextStream()).send(begun, join(4, "anna"));
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ value }) => value?.kind),
      ["join", "resync", "join"],
    );
  });

  it("report their status, with reasons", async () => {
    const seen: unknown[] = [];
    const feed = presence.watchChannels({
      onStatus: (now) =>
        seen.push(now.state === "reconnecting" ? [now.state, now.reason.code, now.attempt] : now.state),
    });
    assert.equal(feed.status.state, "connecting");
    const iterator = feed[Symbol.asyncIterator]();
    const first = iterator.next();
    const stream = await service.nextStream();
    stream.send(begun);
    await first;
    assert.deepEqual(feed.status, { state: "live" });
    const next = iterator.next();
    stream.fail(LOST);
    (await service.nextStream()).fail(LOST);
    const third = await service.nextStream();
    assert.equal(feed.status.state, "reconnecting");
    third.send(begun);
    assert.equal((await next).value?.kind, "resync");
    await feed.close();
    assert.deepEqual(feed.status, { state: "closed", reason: undefined });
    const lost = (attempt: number) => ["reconnecting", "UNAVAILABLE", attempt];
    assert.deepEqual(seen, ["live", lost(1), lost(2), "live", "closed"]);
  });

  it("end with an error that waiting does not cure, once", async () => {
    const { feed, iterator, stream } = await live();
    stream.fail(LOST);
    (await service.nextStream()).fail(refusal(grpc.status.PERMISSION_DENIED, "not you", [reasonDetail("NOT_ALLOWED")]));
    await assert.rejects(iterator.next(), { name: "PresenceError", reason: "NOT_ALLOWED" });
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    assert.ok(feed.status.state === "closed" && (feed.status.reason as { reason: string }).reason === "NOT_ALLOWED");
  });

  it("end with the failure of their stream where `reconnect` is false, of the feed or of the client", async () => {
    const { iterator, stream } = await live({ reconnect: false });
    stream.fail(LOST);
    await assert.rejects(iterator.next(), { code: "UNAVAILABLE", message: "lost" });
    await presence.close();
    presence = createPresenceClient({ address: service.address, reconnect: false });
    const other = await live();
    other.stream.fail(LOST);
    await assert.rejects(other.iterator.next(), { code: "UNAVAILABLE", message: "lost" });
  });

  it("wait for the first connection no longer than connectTimeoutMs", async () => {
    const iterate = (connectTimeoutMs: number, onStatus?: WatchChannelsOptions["onStatus"]) =>
      presence
        .watchChannels({ reconnect: { ...SOON, connectTimeoutMs }, onStatus })
        [Symbol.asyncIterator]()
        .next();
    const silent = iterate(50);
    const stream = await service.nextStream();
    await assert.rejects(silent, { code: "DEADLINE_EXCEEDED" });
    await stream.cancelled;
    service.stop();
    const seen: string[] = [];
    await assert.rejects(
      iterate(50, ({ state }) => seen.push(state)),
      { code: "UNAVAILABLE" },
    );
    assert.deepEqual([seen[0], seen.at(-1)], ["connecting", "closed"]);
    await assert.rejects(iterate(0), { code: "UNAVAILABLE" });
  });

  it("bring the events before the loss to a slow loop, then `resync`", async () => {
    const { feed, iterator, stream } = await live();
    stream.send(join(3, "tony"), leave(4, "tony"));
    // The loop rests: both events are there and not asked for.
    stream.fail(LOST);
    assert.deepEqual(await kinds(iterator, 2), ["join", "leave"]);
    (await service.nextStream()).send(begun, join(5, "anna"));
    while (feed.status.state !== "live") await turn();
    // Lost again before `resync` was asked for.
    assert.deepEqual(await kinds(iterator, 2), ["resync", "join"]);
  });

  it("fail with what onStatus throws", async () => {
    const thrown = new Error("of the application");
    for (const state of ["live", "reconnecting", "closed"]) {
      const feed = presence.watchChannels({
        onStatus: (now) => {
          if (now.state === state) throw thrown;
        },
      });
      const iterator = feed[Symbol.asyncIterator]();
      const first = iterator.next();
      const stream = await service.nextStream();
      stream.send(begun);
      if (state === "live") {
        await assert.rejects(first, thrown);
      } else {
        await first;
        const next = iterator.next();
        next.catch(() => {});
        if (state === "reconnecting") stream.fail(LOST);
        else await feed.close();
        await assert.rejects(next, thrown);
      }
      assert.equal(feed.status.state, "closed");
      await stream.cancelled;
    }
  });

  describe("and that are ended", () => {
    const ways: [way: string, end: (feed: ReturnType<PresenceClient["watchChannels"]>) => unknown][] = [
      ["close()", (feed) => feed.close()],
      ["closing the client", () => presence.close()],
    ];

    for (const [way, end] of ways) {
      it(`by ${way} in a back-off, end at once`, async () => {
        const away = await live({ reconnect: NEVER });
        const next = away.iterator.next();
        await lose(away);
        await end(away.feed);
        assert.deepEqual(await next, { done: true, value: undefined });
        assert.equal(away.feed.status.state, "closed");
      });
    }

    it("by return() in a back-off, end at once", async () => {
      const away = await live({ reconnect: NEVER });
      const next = away.iterator.next();
      await lose(away);
      assert.deepEqual(await away.iterator.return!(), { done: true, value: undefined });
      assert.deepEqual(await next, { done: true, value: undefined });
    });

    it("by a signal in a back-off, end at once with its reason", async () => {
      const controller = new AbortController();
      const away = await live({ reconnect: NEVER, signal: controller.signal });
      const next = away.iterator.next();
      await lose(away);
      controller.abort(new Error("enough"));
      await assert.rejects(next, /enough/);
      assert.deepEqual(await away.iterator.next(), { done: true, value: undefined });
    });

    it("while there is no server, end at once", async () => {
      const seen: string[] = [];
      const { feed, iterator } = await live({ onStatus: ({ state }) => seen.push(state) });
      const next = iterator.next();
      service.stop();
      // The second loss is the first try that found no server.
      while (seen.filter((state) => state === "reconnecting").length < 2) await turn();
      await feed.close();
      assert.deepEqual(await next, { done: true, value: undefined });
      assert.equal(seen.at(-1), "closed");
    });

    it("while the stream is being opened again, cancel it", async () => {
      const { feed, iterator, stream } = await live();
      const next = iterator.next();
      stream.fail(LOST);
      const again = await service.nextStream();
      await feed.close();
      assert.deepEqual(await next, { done: true, value: undefined });
      await again.cancelled;
    });
  });
});

describe("feeds of the client that end in the tick in which they begin", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  /** Lets the stream begin, if the call went out, and waits until it is cancelled. */
  async function isCancelled(): Promise<void> {
    const stream: FakeStream = await service.nextStream();
    stream.send(begun);
    await stream.cancelled;
  }

  const ends: Record<
    string,
    (parts: { iterator: AsyncIterator<FeedEvent>; feed: AsyncDisposable; abort(): void }) => unknown
  > = {
    "return()": ({ iterator }) => iterator.return!(),
    "close()": ({ feed }) => feed[Symbol.asyncDispose](),
    "closing the client": () => presence.close(),
    "an aborted signal": ({ abort }) => abort(),
  };
  for (const [way, end] of Object.entries(ends)) {
    it(`by ${way}, on a live connection: no call stays open`, async () => {
      service.handlers.heartbeat = () => ({});
      await presence.heartbeat(["session"]);
      const controller = new AbortController();
      const feed = presence.watchChannels({ signal: controller.signal });
      const iterator = feed[Symbol.asyncIterator]();
      const first = iterator.next();
      const ended = end({ iterator, feed, abort: () => controller.abort(new Error("enough")) });
      if (way === "an aborted signal") await assert.rejects(first, /enough/);
      else assert.deepEqual(await first, { done: true, value: undefined });
      // Resolves without an answer of the server.
      await ended;
      await (await service.nextStream()).cancelled;
    });

    it(`by ${way}, without a connection: the call is cancelled`, async () => {
      const controller = new AbortController();
      const feed = presence.watchChannels({ signal: controller.signal });
      const iterator = feed[Symbol.asyncIterator]();
      const first = iterator.next();
      const ended = end({ iterator, feed, abort: () => controller.abort(new Error("enough")) });
      if (way === "an aborted signal") await assert.rejects(first, /enough/);
      else assert.deepEqual(await first, { done: true, value: undefined });
      await isCancelled();
      await ended;
    });
  }

  it("before the first next(): no call is made", async () => {
    const returned = presence.watchChannels()[Symbol.asyncIterator]();
    await returned.return!();
    const closed = presence.watchChannels();
    const iterator = closed[Symbol.asyncIterator]();
    await closed.close();
    assert.equal(closed.status.state, "closed");
    const signal = AbortSignal.abort(new Error("enough"));
    const aborted = presence.watchChannels({ signal })[Symbol.asyncIterator]();
    assert.equal((await returned.next()).done, true);
    assert.equal((await iterator.next()).done, true);
    assert.equal((await closed[Symbol.asyncIterator]().next()).done, true);
    await assert.rejects(aborted.next(), /enough/);
    assert.equal((await aborted.next()).done, true);
    // Answered after any call that went out before.
    service.handlers.heartbeat = () => ({});
    await presence.heartbeat(["session"]);
    assert.deepEqual(service.received, ["heartbeat"]);
  });
});

describe("several iterations of one feed", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address, reconnect: { minDelayMs: 1, maxDelayMs: 1 } });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  it("have streams of their own, each with its own losses and end", async () => {
    const feed = presence.watchChannels();
    const [one, two] = [feed[Symbol.asyncIterator](), feed[Symbol.asyncIterator]()];
    const firsts = [one.next()];
    const streamOne = await service.nextStream();
    firsts.push(two.next());
    const streamTwo = await service.nextStream();
    for (const stream of [streamOne, streamTwo]) stream.send(begun);
    await Promise.all(firsts);
    streamOne.fail({ code: grpc.status.UNAVAILABLE, details: "lost" });
    streamTwo.send(join(3, "tony"));
    (await service.nextStream()).send(begun, join(3, "tony"));
    const kinds = [(await one.next()).value?.kind, (await two.next()).value?.kind];
    assert.deepEqual(kinds, ["resync", "join"]);
    await two.return!();
    await streamTwo.cancelled;
    assert.equal(feed.status.state, "live");
    assert.equal((await one.next()).value?.kind, "join");
    const next = one.next();
    await feed.close();
    assert.equal((await next).done, true);
    assert.equal(feed.status.state, "closed");
  });

  it("add one listener to their signal, and remove it with the last one's end", async () => {
    const { signal } = new AbortController();
    const listeners = (): number => getEventListeners(signal, "abort").length;
    const feeds = Array.from({ length: 60 }, () => presence.watchChannels({ signal }));
    const iterators = feeds.map((feed) => feed[Symbol.asyncIterator]());
    const firsts = iterators.map((iterator) => iterator.next());
    for (const _ of feeds) (await service.nextStream()).send(begun);
    await Promise.all(firsts);
    assert.equal(listeners(), 1);
    await Promise.all(iterators.map((iterator) => iterator.return!()));
    while (listeners() > 0) await turn();
  });
});
