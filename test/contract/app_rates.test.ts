import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { goodClaims, hs256, SECRET } from "../support/tokens.js";

const room = message("room");

/** Limits of apps and of streams, over a connection (S21). */
describe("calls and streams too many for an app", () => {
  let server: RollcallServer;
  let clock: ManualClock;
  const channels: { close(): void }[] = [];

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    const closed = server.close();
    clock.advance(60_000);
    await closed;
  });

  async function start(settings: Parameters<typeof startTestServer>[0]): Promise<void> {
    clock = new ManualClock({ wall: Date.now() });
    server = await startTestServer({ tokenSecret: SECRET, ...settings }, { clock });
  }

  function as(sub: string, app: string) {
    const claims = goodClaims({
      sub,
      presence: { app, channels: [{ pattern: "*", allow: ["write", "read", "subscribe"] }] },
    });
    const { client, channel } = connect(server.address, undefined, { token: hs256({ claims }) });
    channels.push(channel);
    return client;
  }

  it("a flood of one app is refused by name of the limit, and another app and open streams notice nothing", async () => {
    await start({ appRateLimit: 10, appRateBurst: 12 });
    const listener = new Listener(as("ann", "chat"), { channel: room });
    await listener.opened();
    const bob = as("bob", "chat");
    await bob.joinChannel({ channel: room });
    await listener.expect("remoteJoin");
    const flood = await Promise.allSettled(Array.from({ length: 50 }, () => bob.listOnlineUsers({ channel: room })));
    assert.equal(flood.filter(({ status }) => status === "fulfilled").length, 10);
    const { code, reason, retryDelay, info } = await refusalOf(as("mia", "chat").setState({ channel: room }));
    assert.deepEqual([code, reason, retryDelay], ["RESOURCE_EXHAUSTED", "RATE_LIMITED", 0.1]);
    assert.deepEqual(info?.metadata, { scope: "app", counts: "calls", limit: "10", burst: "12" });
    const game = as("ann", "game");
    for (let i = 0; i < 12; i++) await game.setState({ channel: room });
    clock.advance(100);
    await bob.setState({ channel: room, states: { still: "here" } });
    assert.deepEqual({ ...(await listener.expect("remoteStateChanged")).state?.states }, { still: "here" });
    listener.cancel();
  });

  it("a batch counts what it carries, and is refused as a whole", async () => {
    await start({ appRateLimit: 10, appRateBurst: 10 });
    const ann = as("ann", "chat");
    const batch = (entries: number) =>
      ann.batchSetState({ requests: Array.from({ length: entries }, (_, i) => ({ channel: message(`room ${i}`) })) });
    assert.equal((await batch(7)).results.length, 7);
    const { info, retryDelay } = await refusalOf(batch(4));
    assert.deepEqual([info?.metadata.scope, retryDelay], ["app", 0.1]);
    assert.equal((await batch(3)).results.length, 3);
  });

  it("streams have limits of their own, for users and for apps", async () => {
    await start({ streamRateLimit: 1, streamRateBurst: 1, appStreamRateLimit: 1, appStreamRateBurst: 2 });
    const ann = as("ann", "chat");
    const first = new Listener(ann, { channel: room });
    await first.opened();
    const again = await refusalOf(new Listener(ann, { channel: room }).next());
    assert.deepEqual(again.info?.metadata, { scope: "user", counts: "streams", limit: "1", burst: "1" });
    const second = new Listener(as("bob", "chat"), { channel: room });
    await second.opened();
    const third = await refusalOf(new Listener(as("mia", "chat"), { channel: room }).next());
    assert.deepEqual(third.info?.metadata, { scope: "app", counts: "streams", limit: "1", burst: "2" });
    await ann.setState({ channel: room });
    for (const listener of [first, second]) listener.cancel();
  });
});
