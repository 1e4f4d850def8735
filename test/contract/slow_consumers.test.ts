import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { OPEN_WINDOW, WindowClient } from "../support/window_client.js";

const { method } = PresenceService;
const MIB = 1024 * 1024;
const LAGGING_TIMEOUT_MS = 60_000;
const channel = message("room");
const LARGE = { a: "a".repeat(4000), b: "b".repeat(4000), c: "c".repeat(4000), d: "d".repeat(3500) };
const LARGE_BYTES = 15_500;

describe("clients that do not read", () => {
  let server: RollcallServer;
  let clock: ManualClock;
  let honest: ReturnType<typeof connect>;

  afterEach(async () => {
    honest.channel.close();
    const closed = server.close();
    clock.advance(1000);
    await closed;
  });

  async function start(settings: Partial<ServerSettings> = {}): Promise<void> {
    clock = new ManualClock();
    server = await startTestServer({ metrics: { host: "127.0.0.1", port: 0 }, ...settings }, { clock });
    honest = connect(server.address, "anna");
    await honest.client.setState({ channel, states: LARGE });
    await honest.client.joinChannel({ channel, ttl: { seconds: 300n, nanos: 0 } });
  }

  const unreadBytes = (): Promise<number> => gauge(server.metricsAddress, "rollcall_unread_bytes");

  describe("answers of unary calls", () => {
    it("are kept for --lagging-timeout, then their streams are reset", async () => {
      await start();
      const client = await WindowClient.connect(server.address, 0);
      const calls = Array.from({ length: 50 }, () => client.call(method.getState, "anna", { channel }));
      await Promise.all(calls.map((call) => within("an answer", call.answered())));
      assert.ok((await unreadBytes()) >= 50 * LARGE_BYTES);
      clock.advance(LAGGING_TIMEOUT_MS);
      for (const call of calls) assert.equal(await within("the end", call.ended()), "reset");
      assert.equal(await unreadBytes(), 0);
      client.close();
    });

    it("of health checks are reset after that time as well", async () => {
      await start();
      const client = await WindowClient.connect(server.address, 0);
      const call = client.call(Health.method.check, "anna", {});
      await within("an answer", call.answered());
      clock.advance(LAGGING_TIMEOUT_MS);
      assert.equal(await within("the end", call.ended()), "reset");
      client.close();
    });

    it("of one connection come to 4 MiB, and its further calls wait until it reads", async () => {
      await start();
      const client = await WindowClient.connect(server.address, 0);
      const calls = Array.from({ length: 600 }, () => client.call(method.getState, "anna", { channel }));
      const kept = Math.ceil((4 * MIB) / LARGE_BYTES);
      await Promise.all(calls.slice(0, kept - 10).map((call) => within("an answer", call.answered())));
      // Another connection is not concerned.
      await honest.client.getState({ channel });
      const unread = await unreadBytes();
      assert.ok(unread < 4 * MIB + 600 * 1024, `${unread} bytes`);
      await client.setWindow(OPEN_WINDOW);
      for (const call of calls) assert.equal(await within("the end", call.ended()), "status 0");
      assert.equal(await unreadBytes(), 0);
      client.close();
    });

    it("let calls wait, which are not carried out once they are cancelled", async () => {
      await start();
      const client = await WindowClient.connect(server.address, 0);
      const calls = Array.from({ length: 600 }, () => client.call(method.getState, "anna", { channel }));
      const late = client.call(method.setState, "anna", { channel, states: { late: "1" } });
      while ((await unreadBytes()) < 4 * MIB) await turn();
      late.cancel();
      await client.setWindow(OPEN_WINDOW);
      for (const call of calls) assert.equal(await within("the end", call.ended()), "status 0");
      const { state } = await honest.client.getState({ channel });
      assert.equal(state!.states.late, undefined);
      assert.equal(await unreadBytes(), 0);
      client.close();
    });

    it("come to --max-unread-bytes in all; beyond it the oldest are reset", async () => {
      await start({ maxUnreadBytes: MIB });
      const calls: Awaited<ReturnType<WindowClient["call"]>>[] = [];
      const clients: WindowClient[] = [];
      for (let i = 0; i < 100; i++) {
        if (i % 10 === 0) clients.push(await WindowClient.connect(server.address, 0));
        const call = clients.at(-1)!.call(method.getState, "anna", { channel });
        await within(`answer ${i}`, call.answered());
        calls.push(call);
      }
      assert.ok((await unreadBytes()) <= MIB);
      assert.equal(await within("the end of the oldest", calls[0]!.ended()), "reset");
      await honest.client.getState({ channel });
      for (const client of clients) client.close();
    });

    it("of an ordinary client that has 1,000 calls in flight all arrive", async () => {
      await start();
      const answers = await Promise.all(Array.from({ length: 1000 }, () => honest.client.getState({ channel })));
      assert.equal(answers.length, 1000);
    });
  });

  describe("streams", () => {
    let rosa: ReturnType<typeof connect>;
    afterEach(() => rosa.channel.close());

    /** A subscriber that has stopped to read, and for which too much waits. */
    async function stalled(): Promise<AsyncIterator<unknown>> {
      await start();
      rosa = connect(server.address, "rosa");
      const slow = rosa.client.subscribePresence({ channel })[Symbol.asyncIterator]();
      await slow.next();
      const lagging = async (): Promise<number> =>
        (await gauge(server.metricsAddress, 'rollcall_readers{state="lagging"}')) +
        (await gauge(server.metricsAddress, 'rollcall_readers{state="resyncing"}'));
      for (let i = 0; (await lagging()) === 0; i++) {
        assert.ok(i < 1000, "the subscriber is never too slow");
        await honest.client.setState({ channel, states: { a: `${i}`.padEnd(4000) } });
      }
      return slow;
    }

    it("that read again are told SUBSCRIBER_TOO_SLOW behind what was sent", async () => {
      const slow = await stalled();
      clock.advance(LAGGING_TIMEOUT_MS);
      const refusal = await refusalOf(
        (async () => {
          for (;;) if ((await within("the end", slow.next())).done) return;
        })(),
      );
      assert.deepEqual([refusal.code, refusal.reason], ["UNAVAILABLE", "SUBSCRIBER_TOO_SLOW"]);
      assert.equal(refusal.info!.metadata.lagging_timeout, "60s");
      assert.equal(await unreadBytes(), 0);
    });

    it("whose deadline has passed are reset after --lagging-timeout", async () => {
      await start();
      rosa = connect(server.address, "rosa");
      const client = await WindowClient.connect(server.address, 0);
      // With small events, so that the subscriber keeps up until its deadline has passed.
      const small = message("small");
      await honest.client.joinChannel({ channel: small, ttl: { seconds: 300n, nanos: 0 } });
      const call = client.call(method.subscribePresence, "rosa", { channel: small }, "50m");
      for (let i = 0; (await unreadBytes()) === 0; i++) {
        await honest.client.setState({ channel: small, states: { i: `${i}` } });
      }
      clock.advance(LAGGING_TIMEOUT_MS);
      assert.equal(await within("the end", call.ended()), "reset");
      assert.equal(await unreadBytes(), 0);
      client.close();
    });

    it("that never do are reset after --lagging-timeout more, and their memory is free", async () => {
      const slow = await stalled();
      clock.advance(LAGGING_TIMEOUT_MS);
      assert.ok((await unreadBytes()) > 0);
      clock.advance(LAGGING_TIMEOUT_MS);
      while ((await unreadBytes()) > 0) await turn();
      const refusal = await refusalOf(
        (async () => {
          for (;;) if ((await within("the end", slow.next())).done) return;
        })(),
      );
      assert.deepEqual([refusal.code, refusal.reason], ["CANCELLED", undefined]);
    });
  });
});

describe("memory that clients which do not read cost", () => {
  let server: ServerUnderTest;
  let crowd: ReturnType<typeof connect>;

  beforeEach(async () => {
    server = await ServerUnderTest.start();
    crowd = connect(server.address);
  });

  afterEach(async () => {
    crowd.channel.close();
    await server.stop();
  });

  /** What is left after several collections: one alone may leave buffers whose owners it has collected. */
  async function memory(): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) least = Math.min(least, await server.memory());
    return least;
  }

  it("is bounded for subscribers, however much one batch changes", async () => {
    const channels = Array.from({ length: 4 }, (_, i) => message(`room ${i}`));
    const users = channels.flatMap((channel) =>
      Array.from({ length: 250 }, (_, i) => ({ channel, userId: `user ${i}` })),
    );
    for (let from = 0; from < users.length; from += 50) {
      const some = users.slice(from, from + 50);
      await crowd.client.batchSetState({ requests: some.map((user) => ({ ...user, states: LARGE })) });
      await crowd.client.batchJoinChannel({ requests: some.map((user) => ({ ...user, ttl: { seconds: 300n } })) });
    }
    const setAll = async (value: string): Promise<void> => {
      for (let from = 0; from < users.length; from += 250) {
        const requests = users.slice(from, from + 250).map((user) => ({ ...user, states: { v: value } }));
        await crowd.client.batchSetState({ requests });
      }
    };
    const client = await WindowClient.connect(server.address, OPEN_WINDOW);
    const calls = channels.map((channel) => client.call(method.subscribePresence, "rosa", { channel }));
    await Promise.all(calls.map((call) => within("the snapshot", call.read(250 * LARGE_BYTES))));
    // Everything that the server keeps of states in any case is there from now on.
    await setAll("1");
    await Promise.all(calls.map((call) => within("the changes", call.read(500 * LARGE_BYTES))));
    await client.setWindow(0);
    const before = await memory();
    await setAll("2");
    const more = (await memory()) - before;
    assert.ok(more < 4 * MIB, `${(more / MIB).toFixed(1)} MiB more, for four streams`);
    client.close();
  });

  it("is bounded for answers", async () => {
    const users = Array.from({ length: 250 }, (_, i) => ({ channel, userId: `user ${i}` }));
    for (let from = 0; from < users.length; from += 50) {
      const requests = users.slice(from, from + 50).map((user) => ({ ...user, states: LARGE }));
      await crowd.client.batchSetState({ requests });
    }
    await crowd.client.batchJoinChannel({ requests: users.map((user) => ({ ...user, ttl: { seconds: 300n } })) });
    const client = await WindowClient.connect(server.address, 0);
    const before = await memory();
    const calls = Array.from({ length: 15 }, () =>
      client.call(method.listOnlineUsers, "anna", { channel, includeStates: true, pageSize: 1000 }),
    );
    await within("an answer", calls[0]!.answered());
    await crowd.client.getState(users[0]!);
    const more = (await memory()) - before;
    assert.ok(more < 32 * MIB, `${(more / MIB).toFixed(1)} MiB more`);
    client.close();
  });
});
