import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { createPresenceClient, type FeedEvent, type PresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { FeedView } from "../guarantees/feed_view.js";
import { connect, message } from "../support/calls.js";
import { endChild, startSubscriberProcess } from "../support/child.js";
import { Inbox } from "../support/inbox.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

/** An event in short: `chat_room join tony 2`, without its revision `chat_room occupied`. */
function inShort(event: FeedEvent): string {
  if (!event.channel) return event.kind;
  const { name, type } = event.channel;
  const words = [type === "stream" ? `stream:${name}` : name, event.kind];
  if ("userId" in event) words.push(event.userId);
  if (event.kind === "state_changed") words.push(JSON.stringify(event.state.states));
  if (event.kind === "snapshot") words.push([...event.members.keys()].sort().join("+"));
  return words.join(" ");
}

/** WatchChannels over real sockets, with our own client and with the generated one. */
describe("the feed for back ends", () => {
  let server: RollcallServer;
  let presence: PresenceClient;
  let others: PresenceClient[];
  let inboxes: Inbox<FeedEvent>[];

  async function start(settings: Partial<ServerSettings> = {}): Promise<void> {
    // Some of these load the server on purpose.
    server = await startTestServer(settings);
    [others, inboxes] = [[], []];
    presence = createPresenceClient({ address: server.address, userId: "back end" });
  }

  afterEach(async () => {
    await presence.close();
    for (const other of others) await other.close();
    await server.close();
  });

  function user(userId: string): PresenceClient {
    const client = createPresenceClient({ address: server.address, userId });
    others.push(client);
    return client;
  }

  /** Reads a feed into an inbox, which begins behind `subscribed`. */
  async function watch(options: Parameters<PresenceClient["watchChannels"]>[0] = {}): Promise<Inbox<FeedEvent>> {
    const inbox = new Inbox<FeedEvent>();
    inboxes.push(inbox);
    const read = async (): Promise<void> => {
      for await (const event of presence.watchChannels(options)) inbox.push(event);
      inbox.end();
    };
    read().catch((error: Error) => inbox.end(error));
    assert.equal((await inbox.next()).kind, "subscribed");
    return inbox;
  }

  const told = async (inbox: Inbox<FeedEvent>, count: number) => (await inbox.take(count)).map(inShort);

  it("S1 S2 S11 tells of all channels: occupied, joins, states, departures, vacated, with positions per channel", async () => {
    await start();
    const feed = await watch();
    const tony = user("tony");
    const lease = await tony.channel("chat_room").join({ initialStates: { Mic: "False" } });
    const { position: stage } = await user("anna").channel("stage", { type: "stream" }).join();
    await tony.channel("chat_room").setState({ Mic: "True" });
    await user("anna").channel("chat_room").join();
    await tony.channel("chat_room").leave({ sessionId: lease.sessionId });
    await user("anna").channel("chat_room").leave({ all: true });
    const events = await feed.take(10);
    const begin = lease.position.revision - 2n;
    assert.ok(stage.revision > begin + 2n);
    const expected: [string, bigint][] = [
      ["chat_room occupied", 1n],
      ["chat_room join tony", 1n],
      ['chat_room state_changed tony {"Mic":"False"}', 2n],
      ["stream:stage occupied", stage.revision - begin],
      ["stream:stage join anna", stage.revision - begin],
      ['chat_room state_changed tony {"Mic":"True"}', 3n],
      ["chat_room join anna", 4n],
      ["chat_room leave tony", 5n],
      ["chat_room leave anna", 6n],
      ["chat_room vacated", 6n],
    ];
    assert.deepEqual(
      events.map((event) => [inShort(event), event.channel && event.position.revision - begin]),
      expected,
    );
    assert.equal(feed.size, 0);
  });

  it("tells of listed channels, and of those with a prefix, and of no others", async () => {
    await start();
    const listed = await watch({
      channels: [
        { type: "message", name: "b1" },
        { type: "stream", name: "a1" },
      ],
    });
    const prefixed = await watch({ prefix: "a" });
    const both = await watch({ channels: [{ type: "message", name: "b1" }], prefix: "a2" });
    const tony = user("tony");
    for (const name of ["a1", "a2", "b1", "b2"]) await tony.channel(name).join();
    await tony.channel("a1", { type: "stream" }).join();
    assert.deepEqual(await told(listed, 4), [
      "b1 occupied",
      "b1 join tony",
      "stream:a1 occupied",
      "stream:a1 join tony",
    ]);
    assert.deepEqual(await told(prefixed, 6), [
      "a1 occupied",
      "a1 join tony",
      "a2 occupied",
      "a2 join tony",
      "stream:a1 occupied",
      "stream:a1 join tony",
    ]);
    assert.deepEqual(await told(both, 4), ["a2 occupied", "a2 join tony", "b1 occupied", "b1 join tony"]);
    assert.deepEqual([listed.size, prefixed.size, both.size], [0, 0, 0]);
  });

  it("S15 begins with a snapshot of each occupied channel that matches, in chunks, and says when all are told", async () => {
    await start();
    const crowd = connect(server.address);
    const pad = "x".repeat(4000);
    for (let i = 0; i < 100; i++) {
      await crowd.client.joinChannel({ channel: message("large"), userId: `user ${i}`, initialStates: { pad } });
    }
    await user("tony")
      .channel("lobby")
      .join({ initialStates: { Mic: "True" } });
    await user("tony").channel("left").join();
    await user("tony").channel("left").leave({ all: true });
    const feed = await watch({ withSnapshot: true });
    const begun = await feed.take(3);
    assert.deepEqual(
      begun.map(({ kind }) => kind),
      ["snapshot", "snapshot", "complete"],
    );
    const snapshots = new Map(begun.map((event) => [event.channel?.name, event]));
    const large = snapshots.get("large");
    assert.ok(large?.kind === "snapshot" && large.members.size === 100 && large.occupancy === 100);
    const lobby = snapshots.get("lobby");
    assert.ok(lobby?.kind === "snapshot" && lobby.channel);
    assert.deepEqual(lobby.members.get("tony")?.states, { Mic: "True" });
    await user("tony").channel("lobby").leave({ all: true });
    assert.deepEqual(await told(feed, 2), ["lobby leave tony", "lobby vacated"]);

    const chunks: number[] = [];
    for await (const { events } of crowd.client.watchChannels({ channels: [message("large")], withSnapshot: true })) {
      for (const { channel, event } of events) {
        if (event.case === "snapshot" && channel) chunks.push(event.value.users.length);
      }
      if (events.some(({ channel, event }) => event.case === "snapshot" && !channel)) break;
    }
    assert.ok(chunks.length > 1, "more than one chunk of 256 KiB");
    assert.equal(
      chunks.reduce((sum, users) => sum + users, 0),
      100,
    );
    crowd.channel.close();
  });

  it("S3 tells of a user whose process is killed, and of one whose lease runs out", async () => {
    await start({ presenceTimeout: 300 });
    const feed = await watch();
    const child = await startSubscriberProcess(server.address, "chat_room", "tony");
    try {
      assert.deepEqual(await told(feed, 3), [
        "chat_room occupied",
        "chat_room join tony",
        'chat_room state_changed tony {"Mic":"True"}',
      ]);
    } finally {
      await endChild(child, "SIGKILL");
    }
    assert.deepEqual(await told(feed, 2), ["chat_room timeout tony", "chat_room vacated"]);
    await user("anna").channel("lobby").join({ ttlMs: 1000 });
    assert.deepEqual(await told(feed, 4), ["lobby occupied", "lobby join anna", "lobby timeout anna", "lobby vacated"]);
  });

  for (const withSnapshot of [true, false]) {
    it(`S16a tells a slow watcher ${withSnapshot ? "with" : "without"} snapshots that events were lost, and goes on`, async () => {
      await start({ readerBuffer: 4096, metrics: { host: "127.0.0.1", port: 0 } });
      const calls = connect(server.address);
      const channels = [...Array(20).keys()].map((i) => message(`room ${i}`));
      for (const channel of channels) await calls.client.joinChannel({ channel, userId: "tony" });
      const iterator = presence.watchChannels({ withSnapshot })[Symbol.asyncIterator]();
      assert.equal((await iterator.next()).value?.kind, "subscribed");

      const watchers = async (): Promise<Map<string, number>> => {
        const text = await (await fetch(`http://${server.metricsAddress}/metrics`)).text();
        return new Map(
          [...text.matchAll(/^rollcall_watchers\{state="(\w+)"\} (\d+)$/gm)].map((m) => [m[1]!, Number(m[2])]),
        );
      };
      let seenLagging = false;
      for (let i = 0; !((await watchers()).get("resyncing") === 1 && i > 20); i++) {
        assert.ok(i < 5000, "the watcher is never too slow");
        const states = { i: String(i), pad: "x".repeat(4000) };
        await calls.client.setState({ channel: channels[i % 20], userId: "tony", states });
        seenLagging ||= (await watchers()).get("lagging") === 1;
      }
      assert.ok(seenLagging);

      const seen = new Map<string, string>();
      let lost = 0;
      for (;;) {
        const { value: event } = await iterator.next();
        assert.ok(event);
        if (event.kind === "out_of_service") {
          seen.clear();
          lost += 1;
          if (!withSnapshot) break;
        }
        if (event.kind === "snapshot") seen.set(event.channel.name, event.members.get("tony")!.states.i!);
        if (event.kind === "state_changed") seen.set(event.channel.name, event.state.states.i!);
        if (event.kind === "complete" && lost > 0) break;
      }
      assert.equal(lost, 1);
      if (withSnapshot) {
        for (const channel of channels) {
          const { state } = await calls.client.getState({ channel, userId: "tony" });
          assert.equal(seen.get(channel.name), state!.states.i, channel.name);
        }
      }
      await calls.client.leaveChannel({ channel: channels[0], userId: "tony" });
      assert.equal(inShort((await iterator.next()).value!), "room 0 leave tony");
      assert.equal(inShort((await iterator.next()).value!), "room 0 vacated");
      assert.equal((await watchers()).get("live"), 1);
      await iterator.return!();
      calls.channel.close();
    });
  }

  it("S16 S16a holds its promises amid a crowd, to watchers who read and to one who rests", async () => {
    await start({ readerBuffer: 16 * 1024 });
    const { client, channel: connection } = connect(server.address);
    const resters = connect(server.address);
    const names = ["a1", "a2", "b1"];
    const act = async (i: number): Promise<void> => {
      const call = { channel: message(names[i % 3]!), userId: `user ${i % 7}` };
      if (i % 11 === 0) await client.leaveChannel(call).catch(() => {});
      else if (i % 5 === 0) await client.joinChannel({ ...call, initialStates: { i: String(i) } });
      else await client.setState({ ...call, states: { i: String(i), pad: "x".repeat(4000) } });
    };
    const watcher = async (calls: typeof client, prefix: string) => {
      const responses = calls.watchChannels({ prefix, withSnapshot: true })[Symbol.asyncIterator]();
      const view = new FeedView(true);
      const read = async (): Promise<void> => {
        const { value, done } = await responses.next();
        assert.ok(!done);
        for (const event of value.events) view.apply(event);
      };
      await read();
      return { view, read };
    };
    const expected = new Map<string, Map<string, Record<string, string>>>();
    const truth = (prefix: string) => new Map([...expected].filter(([key]) => key.startsWith(`1:${prefix}`)));
    const readOn = async ({ view, read }: Awaited<ReturnType<typeof watcher>>, prefix = ""): Promise<void> => {
      while (expected.size === 0 || !isDeepStrictEqual(view.users, truth(prefix))) await read();
    };
    const everything = await watcher(client, "");
    const resting = await watcher(resters.client, "a");
    const reading = readOn(everything);
    for (let i = 0; i < 800; i += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, k) => act(i + k)));
    }
    // The last word, which everybody has still to read when what is expected is known.
    const last = { channel: message("a1"), userId: "last" };
    for (const name of names) {
      const { users } = await client.listOnlineUsers({ channel: message(name), includeStates: true });
      expected.set(`1:${name}`, new Map(users.map(({ userId, states }) => [userId, { ...states }])));
    }
    expected.get("1:a1")!.set("last", {});
    await client.joinChannel(last);
    await Promise.all([reading, readOn(resting, "a")]);
    assert.ok(resting.view.losses > 0, "what is not read in time is lost");
    connection.close();
    resters.channel.close();
  });

  it("S24 ends feeds when the server goes down, with SERVER_DRAINING and when to come back", async () => {
    await start();
    const { client, channel } = connect(server.address);
    const responses = client.watchChannels({})[Symbol.asyncIterator]();
    assert.equal((await responses.next()).value.events[0].event.case, "subscribed");
    const ending = refusalOf(responses.next());
    await server.close();
    const { code, reason, retryDelay } = await ending;
    assert.deepEqual([code, reason], ["UNAVAILABLE", "SERVER_DRAINING"]);
    assert.ok(retryDelay !== undefined && retryDelay > 0);
    channel.close();
  });

  it("ends a feed that is closed, aborted, or whose client is closed", async () => {
    await start();
    const closed = presence.watchChannels();
    const iterator = closed[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    await closed.close();
    assert.deepEqual(await next, { done: true, value: undefined });

    const abort = new AbortController();
    const aborted = presence.watchChannels({ signal: abort.signal })[Symbol.asyncIterator]();
    await aborted.next();
    const failing = aborted.next();
    abort.abort(new Error("enough"));
    await assert.rejects(failing, /enough/);

    const left = presence.watchChannels()[Symbol.asyncIterator]();
    await left.next();
    const waiting = left.next();
    await left.return!();
    assert.equal((await waiting).done, true);

    const feed = await watch();
    await presence.close();
    await assert.rejects(feed.next(), /it ended/);
  });

  describe("refuses", () => {
    const good = message("fine");
    const control = "a\u0007b";
    type Request = { channels?: ReturnType<typeof message>[]; prefix?: string };
    const cases: [what: string, request: Request, reason: string, field: string][] = [
      ["1001 channels", { channels: Array(1001).fill(good) }, "INVALID_ARGUMENT", "channels"],
      ["an empty name in the list", { channels: [good, message("")] }, "INVALID_CHANNEL_NAME", "channels[1].name"],
      ["129 bytes of name", { channels: [message("x".repeat(129))] }, "INVALID_CHANNEL_NAME", "channels[0].name"],
      ["a control character in a name", { channels: [message(control)] }, "INVALID_CHANNEL_NAME", "channels[0].name"],
      ["no type in the list", { channels: [good, { ...good, type: 0 }] }, "INVALID_CHANNEL_TYPE", "channels[1].type"],
      ["a control character in the prefix", { prefix: control }, "INVALID_ARGUMENT", "prefix"],
      ["129 bytes of prefix", { prefix: "x".repeat(129) }, "INVALID_ARGUMENT", "prefix"],
    ];
    for (const [what, request, reason, field] of cases) {
      it(`S22 ${what}: ${reason}, field ${field}`, async () => {
        await start();
        const { client, channel } = connect(server.address);
        const refused = await refusalOf(client.watchChannels(request)[Symbol.asyncIterator]().next());
        assert.deepEqual([refused.code, refused.reason], ["INVALID_ARGUMENT", reason]);
        assert.equal(refused.violations[0]?.field, field);
        assert.ok(refused.violations[0]?.description);
        channel.close();
      });
    }
  });
});
