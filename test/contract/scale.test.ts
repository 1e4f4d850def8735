import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import { checkGuarantees } from "../guarantees/check.js";
import { createHistory, type History } from "../guarantees/history.js";
import { recordBegin, recordEvents } from "../guarantees/record.js";
import { changesHeardBy } from "../guarantees/truth.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";

const room = message("chat_room");

/** Many members, many changes: what every reader hears is recorded, and the validators look at all of it. */
describe("at scale", () => {
  let server: RollcallServer;
  let connections: ReturnType<typeof connect>[];

  beforeEach(async () => {
    server = await startTestServer();
    connections = [];
  });

  afterEach(async () => {
    for (const { channel } of connections) channel.close();
    await server.close();
  });

  function client() {
    const connection = connect(server.address);
    connections.push(connection);
    return connection.client;
  }

  it("S15: a channel of 1,000 members arrives complete, in order, in chunks that are small enough", async () => {
    const calls = client();
    const value = "x".repeat(1000);
    for (let i = 0; i < 1000; i += 100) {
      const joins = Array.from({ length: 100 }, (_, j) =>
        calls.joinChannel({ channel: room, userId: `user${i + j}`, initialStates: { n: String(i + j), value } }),
      );
      await Promise.all(joins);
    }
    const history = createHistory({ userId: "anna" });
    recordBegin(history);
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.expect("subscribed");
    const members = await anna.snapshot();
    for (const response of anna.messages) recordEvents(history, response);
    assert.equal(members.size, 1001);
    for (let i = 0; i < 1000; i++) assert.deepEqual(members.get(`user${i}`), { n: String(i), value });
    const chunks = anna.messages.flatMap(({ events }) => events).filter(({ event }) => event.case === "snapshot");
    assert.ok(chunks.length >= 4, `a megabyte comes in several chunks, not ${chunks.length}`);
    checkGuarantees([history], undefined, { gapFree: true });
  });

  it("S16: 10,000 SetState calls of 50 users reach 20 subscribers ordered, unique, gap-free and convergent", async () => {
    const monitor = await subscribe({ userId: "monitor", quiet: true });
    const readers = await Promise.all(Array.from({ length: 20 }, (_, i) => subscribe({ userId: `reader${i}` })));
    const everybody = [monitor, ...readers];
    // Read while it is written: who does not read is slow, and hears less.
    const reading = Promise.all(everybody.map(readToTheEnd));
    const answered = new Map<bigint, string>();
    const writers = Array.from({ length: 50 }, async (_, i) => {
      const calls = client();
      const userId = `writer${i}`;
      await calls.joinChannel({ channel: room, userId, ttl: { seconds: 300n } });
      for (let n = 0; n < 200; n++) {
        const states = { n: String(n), [`k${n % 7}`]: `v${n}` };
        const { state } = await calls.setState({ channel: room, userId, states });
        answered.set(state!.revision, userId);
      }
    });
    await Promise.all(writers);
    const end = await client().setState({ channel: room, userId: "writer0", states: { end: "true" } });
    answered.set(end.position!.revision, "writer0");
    await reading;

    const online = await client().listOnlineUsers({ channel: room, includeStates: true });
    const position = online.position!;
    const changes = changesHeardBy(monitor.history);
    assert.equal(answered.size, 10_001, "every call got a revision of its own");
    const announced = changes.filter(({ kind }) => kind === "state");
    assert.deepEqual(new Map(announced.map((change) => [change.position.revision, change.userId])), sorted(answered));
    const users = new Map(online.users.map(({ userId, states }) => [userId, states]));
    const histories = everybody.map(({ history }) => history);
    checkGuarantees(histories, { changes, final: { users, position } }, { gapFree: true });
  });

  async function subscribe(options: { userId: string; quiet?: boolean }) {
    const history = createHistory(options);
    recordBegin(history);
    const listener = new Listener(client(), { channel: room, ...options });
    await listener.opened();
    return { history, listener };
  }
});

/** Reads until the last change, and then writes everything into the history. */
async function readToTheEnd({ listener, history }: { listener: Listener; history: History }): Promise<void> {
  for (let ended = false; !ended; ) {
    const { event } = await listener.next();
    ended = event.case === "remoteStateChanged" && event.value.changedKeys.includes("end");
  }
  for (const response of listener.messages) recordEvents(history, response);
}

function sorted(revisions: ReadonlyMap<bigint, string>): Map<bigint, string> {
  return new Map([...revisions].sort(([a], [b]) => (a < b ? -1 : 1)));
}
