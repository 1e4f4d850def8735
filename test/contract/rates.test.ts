import assert from "node:assert/strict";
import type { Channel } from "nice-grpc";
import { createPresenceClient, PresenceError } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

describe("calls too many, over a connection (S21)", () => {
  let server: RollcallServer;
  let clock: ManualClock;
  const channels: Channel[] = [];

  beforeEach(async () => {
    clock = new ManualClock();
    server = await startTestServer({ rateLimit: 20 }, { clock });
  });

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    const closed = server.close();
    clock.advance(60_000);
    await closed;
  });

  function clientOf(userId?: string) {
    const { client, channel } = connect(server.address, userId);
    channels.push(channel);
    return client;
  }

  it("by default 40 pass at once, and 20 more each second", async () => {
    const ann = clientOf("ann");
    const counts = async (calls: number): Promise<number> => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: calls }, () => ann.setState({ channel: message("room"), states: { a: "1" } })),
      );
      return outcomes.filter(({ status }) => status === "fulfilled").length;
    };
    assert.equal(await counts(60), 40);
    clock.advance(1000);
    assert.equal(await counts(60), 20);
    clock.advance(60_000);
    assert.equal(await counts(60), 40);
  });

  it("S22 are refused with RATE_LIMITED and the time to wait, before anybody looks at the request", async () => {
    const ann = clientOf("ann");
    for (let i = 0; i < 40; i++) await ann.listUserChannels({});
    for (const call of [
      ann.setState({ channel: message(""), states: { "": "not valid" } }),
      ann.getState({ channel: message("room") }),
      ann.batchSetState({ requests: [{ channel: message("room") }] }),
      ann.heartbeat({ sessionIds: ["x"] }),
      new Listener(ann, { channel: message("room") }).next(),
    ]) {
      const { code, reason, retryDelay, info } = await refusalOf(call);
      assert.deepEqual([code, reason, retryDelay], ["RESOURCE_EXHAUSTED", "RATE_LIMITED", 0.05]);
      assert.deepEqual(info?.metadata, { scope: "user", counts: "calls", limit: "20", burst: "40" });
    }
    const { totalSize } = await clientOf().listOnlineUsers({ channel: message("room") });
    assert.equal(totalSize, 0);
  });

  it("end no stream, and neither the others' calls nor their events", async () => {
    const ann = clientOf("ann");
    const bob = clientOf("bob");
    const listener = new Listener(ann, { channel: message("room") });
    await listener.opened();
    await Promise.allSettled(Array.from({ length: 100 }, () => ann.listUserChannels({})));
    assert.equal((await refusalOf(ann.listUserChannels({}))).reason, "RATE_LIMITED");
    await bob.joinChannel({ channel: message("room") });
    assert.equal((await listener.expect("remoteJoin")).$event.userId, "bob");
    listener.cancel();
  });

  it("a back end keeps ten thousand leases, a thousand in a call", async () => {
    const backEnd = clientOf();
    const sessionIds: string[] = [];
    for (let batch = 0; batch < 10; batch++) {
      const requests = Array.from({ length: 1000 }, (_, i) => ({
        channel: message(`game ${batch}`),
        userId: `player ${batch}-${i}`,
      }));
      for (const { result } of (await backEnd.batchJoinChannel({ requests })).results) {
        assert.equal(result.case, "response");
        if (result.case === "response") sessionIds.push(result.value.sessionId);
      }
    }
    for (let round = 0; round < 2; round++) {
      clock.advance(25_000);
      for (let from = 0; from < sessionIds.length; from += 1000) {
        const { expiredSessionIds } = await backEnd.heartbeat({ sessionIds: sessionIds.slice(from, from + 1000) });
        assert.deepEqual(expiredSessionIds, []);
      }
    }
  });

  it("our client says so clearly, or waits for its turn where a subscription keeps its changes", async () => {
    const presence = createPresenceClient({ address: server.address, userId: "ann" });
    const room = presence.channel("room");
    for (let i = 0; i < 40; i++) await room.setState({ n: `${i}` });
    const error = await room.setState({ n: "too many" }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PresenceError);
    assert.deepEqual([error.code, error.reason, error.retryAfterMs], ["RESOURCE_EXHAUSTED", "RATE_LIMITED", 50]);

    clock.advance(2000);
    const subscription = room.subscribe();
    await subscription.ready;
    const sets = Array.from({ length: 60 }, (_, i) => room.setState({ n: `set ${i}` }));
    await Promise.all(sets.slice(0, 39));
    clock.advance(1000);
    await Promise.all(sets);
    assert.equal((await clientOf().getState({ channel: message("room"), userId: "ann" })).state?.states.n, "set 59");
    await presence.close();
  });
});
