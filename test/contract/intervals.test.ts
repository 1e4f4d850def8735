import assert from "node:assert/strict";
import { createPresenceClient, type PresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { checkGuarantees } from "../guarantees/check.js";
import { createHistory, type History } from "../guarantees/history.js";
import { recordBegin, recordEvents } from "../guarantees/record.js";
import { connect, type GeneratedClient, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const INTERVAL = 1000;
const room = message("arena");

/** S18 over real sockets; time stands still but where a test lets it go on. */
describe("a large channel", () => {
  let clock: ManualClock;
  let server: RollcallServer;
  let calls: GeneratedClient;
  let closing: (() => unknown)[];

  async function start(settings: Partial<ServerSettings> = {}): Promise<void> {
    clock = new ManualClock();
    server = await startTestServer({ announceMax: 4, interval: INTERVAL, ...settings }, { clock });
    const { client, channel } = connect(server.address);
    calls = client;
    closing = [() => channel.close()];
  }

  beforeEach(() => start());

  afterEach(async () => {
    for (const close of closing) await close();
    await server.close();
  });

  /** Users who are present and read nothing. */
  async function come(...users: string[]): Promise<void> {
    for (const userId of users) await calls.joinChannel({ channel: room, userId, initialStates: { of: userId } });
  }

  async function set(userId: string, n: number): Promise<void> {
    await calls.setState({ channel: room, userId, states: { n: String(n) } });
  }

  async function listen(userId: string, resumeFrom?: { epoch: string; revision: bigint }): Promise<Listener> {
    const { client, channel } = connect(server.address);
    closing.push(() => channel.close());
    const listener = new Listener(client, { channel: room, userId, resumeFrom });
    await listener.expect("subscribed");
    if (!resumeFrom) await listener.snapshot();
    return listener;
  }

  function statesOf(members: ReadonlyMap<string, { readonly states: Readonly<Record<string, string>> }>) {
    return new Map([...members].map(([userId, { states }]) => [userId, { ...states }]));
  }

  it("S18 announces up to the limit, tells in intervals above it, and announces again below 80 % of it", async () => {
    const anna = await listen("anna");
    await come("bob", "cid", "dan");
    for (const userId of ["bob", "cid", "dan"]) {
      assert.equal((await anna.expect("remoteJoin")).$event.userId, userId);
      await anna.expect("remoteStateChanged");
    }
    await come("eve");
    assert.equal((await anna.expect("remoteJoin")).occupancy, 5, "the one who makes it large is announced still");
    await anna.expect("remoteStateChanged");

    await set("bob", 1);
    await set("bob", 2);
    await calls.leaveChannel({ channel: room, userId: "dan" });
    await come("fay");
    await calls.setState({ channel: room, userId: "anna", states: { own: "yes" } });
    clock.advance(INTERVAL);
    const interval = await anna.expect("interval");
    assert.deepEqual([interval.joined, interval.left, interval.timedOut], [["fay"], ["dan"], []]);
    const changed = new Map(interval.changed.map(({ userId, states }) => [userId, { ...states }]));
    assert.deepEqual(Object.fromEntries(changed), {
      anna: { own: "yes" },
      bob: { of: "bob", n: "2" },
      fay: { of: "fay" },
    });
    assert.equal(interval.occupancy, 5);
    const { position } = await calls.listOnlineUsers({ channel: room, countOnly: true });
    assert.deepEqual(interval.$event.position, position);

    await calls.leaveChannel({ channel: room, userId: "fay" });
    await calls.leaveChannel({ channel: room, userId: "eve" });
    const flushed = await anna.expect("interval");
    assert.deepEqual([...flushed.left].sort(), ["eve", "fay"]);
    await set("bob", 3);
    assert.equal((await anna.expect("remoteStateChanged")).state?.states.n, "3");
  });

  it("S18 keeps the members of our client right, whenever it came", async () => {
    await come("bob", "cid", "dan", "eve");
    const clients: PresenceClient[] = [];
    const subscribe = async (userId: string) => {
      const client = createPresenceClient({ address: server.address, userId });
      clients.push(client);
      const subscription = client.channel("arena").subscribe();
      await subscription.ready;
      const events = subscription[Symbol.asyncIterator]();
      // From here on nothing is let go that nobody has looked at.
      for (const kind of ["subscribed", "snapshot"]) assert.equal((await events.next()).value?.kind, kind);
      return { events, members: subscription.members };
    };
    closing.push(() => Promise.all(clients.map((client) => client.close())));
    const early = await subscribe("anna");
    await set("bob", 1);
    await calls.leaveChannel({ channel: room, userId: "cid" });
    const late = await subscribe("zoe");
    await set("bob", 2);
    await come("cid");
    clock.advance(INTERVAL);
    for (const { events, members } of [early, late]) {
      const { value: event } = await events.next();
      assert.equal(event?.kind, "interval");
      const users = ["anna", "bob", "cid", "dan", "eve", "zoe"];
      assert.deepEqual([...members.keys()].sort(), users);
      assert.deepEqual(statesOf(members).get("bob"), { of: "bob", n: "2" });
      assert.deepEqual(statesOf(members).get("cid"), { of: "cid" });
    }
  });

  it("S16 S18 gives a reader that resumes what it missed, wherever in an interval it comes back", async () => {
    await come("bob", "cid", "dan", "eve");
    const first = await listen("anna");
    await set("bob", 1);
    clock.advance(INTERVAL);
    const { $event } = await first.expect("interval");
    first.cancel();
    await set("bob", 2);
    const again = await listen("anna", $event.position);
    assert.equal((await again.expect("remoteStateChanged")).state?.states.n, "2");
    await set("bob", 3);
    clock.advance(INTERVAL);
    const { changed, joined } = await again.expect("interval");
    assert.deepEqual(
      changed.map(({ userId, states }) => [userId, states.n]),
      [["bob", "3"]],
    );
    assert.deepEqual(joined, []);
  });

  it("S18 goes by the settings of the channel's name", async () => {
    await server.close();
    await start({ announceMax: 500, channel: { "ar*": { announceMax: 1, interval: 50 } } });
    const anna = await listen("anna");
    await come("bob");
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    await set("bob", 1);
    clock.advance(49);
    await set("bob", 2);
    clock.advance(1);
    assert.equal((await anna.expect("interval")).changed[0]?.states.n, "2");
  });

  it("S16 S18 keeps its promises to readers who come at any time while it grows and shrinks", async () => {
    const histories: History[] = [];
    const listeners: Listener[] = [];
    for (let round = 0; round < 12; round++) {
      const userId = `reader ${round}`;
      histories.push(createHistory({ userId }));
      recordBegin(histories[round]!);
      listeners.push(await listen(userId));
      await come(`guest ${round}`);
      for (let n = 0; n < 5; n++) await set(`guest ${round >> 1}`, n);
      if (round % 3 === 2) await calls.leaveChannel({ channel: room, userId: `guest ${round - 2}` });
      clock.advance(300);
    }
    for (let round = 0; round < 12; round++) {
      if (round % 3 !== 0) await calls.leaveChannel({ channel: room, userId: `guest ${round}` });
      if (round < 10) await calls.leaveChannel({ channel: room, userId: `reader ${round}` });
    }
    clock.advance(INTERVAL);
    await come("the last");
    const online = await calls.listOnlineUsers({ channel: room, includeStates: true });
    const staying = [10, 11];
    for (const index of staying) {
      const listener = listeners[index]!;
      let event = await listener.next();
      while (event.position!.revision < online.position!.revision) event = await listener.next();
    }
    for (const index of staying) {
      for (const response of listeners[index]!.messages) recordEvents(histories[index]!, response);
    }
    const heard = staying.map((index) => histories[index]!);
    const kinds = new Set(heard.flatMap(({ items }) => items.map(({ kind }) => kind)));
    assert.ok(kinds.has("interval") && kinds.has("join") && kinds.has("state"), [...kinds].join());
    const users = new Map(online.users.map(({ userId, states }) => [userId, states]));
    checkGuarantees(heard, { final: { users, position: online.position! } }, { gapFree: false });
  });
});
