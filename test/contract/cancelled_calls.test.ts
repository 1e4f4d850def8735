import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";

const channel = message("room");
/** A batch of about 843 KB. */
const BATCH = Array.from({ length: 200 }, (_, i) => ({
  channel: message("crowd"),
  userId: `user ${i}`,
  states: { a: "x".repeat(4096), b: "x".repeat(100) },
}));

describe("calls that their client cancels (S21)", () => {
  let server: RollcallServer;
  let shared: ReturnType<typeof connect>;
  let subscription: Listener;

  beforeEach(async () => {
    server = await startTestServer();
    shared = connect(server.address);
    subscription = new Listener(shared.client, { channel, userId: "anna", includeSelf: true });
    await subscription.opened();
  });

  afterEach(async () => {
    subscription.cancel();
    shared.channel.close();
    await server.close();
  });

  /** The subscription gets the next event, over the connection that it was opened on. */
  async function subscriptionLives(): Promise<void> {
    await shared.client.setState({ channel, userId: "anna", states: { mood: "calm" } });
    const event = await subscription.expect("remoteStateChanged");
    assert.equal(event.$event.userId, "anna");
  }

  it("120 batches of 843 KB before they were sent whole: the subscription of the same connection goes on", async () => {
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const calls = Array.from({ length: 120 }, () =>
      shared.client.batchSetState({ requests: BATCH }, { signal: abort.signal }),
    );
    const outcomes = Promise.allSettled(calls);
    // Each has begun by the time that another call is answered; far from all of them fit in the windows.
    await shared.client.listOnlineUsers({ channel, countOnly: true });
    abort.abort();
    const cancelled = (await outcomes).filter(({ status }) => status === "rejected");
    assert.ok(cancelled.length > 60, `${cancelled.length} were cancelled`);
    await subscriptionLives();
  });

  it("1,000 streams at once: the subscription of the same connection goes on", async () => {
    const crowd = message("crowd");
    const present = async () => (await shared.client.listOnlineUsers({ channel: crowd, countOnly: true })).totalSize;
    const listeners = Array.from(
      { length: 1000 },
      (_, i) => new Listener(shared.client, { channel: crowd, userId: `user ${i}`, withPresence: false }),
    );
    await Promise.all(listeners.map((listener) => listener.expect("subscribed")));
    assert.equal(await present(), 1000);
    for (const listener of listeners) listener.cancel();
    while ((await present()) > 0) await new Promise(setImmediate);
    await subscriptionLives();
  });
});
