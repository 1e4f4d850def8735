import assert from "node:assert/strict";
import { refusal, room, World } from "./world.js";

describe("service: limits, and nothing is kept for good", () => {
  it("S21 limits the channels that a user takes part in, also where two calls come at once", async () => {
    const world = new World({ limits: { maxChannelsPerUser: 3 } });
    await world.subscribe("ann", { channel: room("a") });
    await world.joinLease("ann", { channel: room("b") });
    const both = await Promise.allSettled([
      world.joinLease("ann", { channel: room("c") }),
      world.open("ann", { channel: room("d") }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const { metadata } = await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann", { channel: room("e") }));
    assert.deepEqual(metadata, { limit: "3" });
    await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann", { channel: room("e"), quiet: true }));
    assert.equal(world.memory.stats().channels, 3);

    await world.subscribe("ann", { channel: room("a") });
    await world.subscribe("bob", { channel: room("e") });
    await world.leave("ann", { channel: room("b") });
    await world.subscribe("ann", { channel: room("e") });
    assert.deepEqual(world.errors, []);
  });

  it("S21 does not count a channel where all of the user's sessions are detached", async () => {
    const world = new World({ limits: { maxChannelsPerUser: 1 } });
    const phone = await world.subscribe("ann", { channel: room("a"), deviceId: "phone" });
    const desktop = await world.subscribe("ann", { channel: room("a"), deviceId: "desktop" });
    await phone.gone("lost");
    await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann", { channel: room("b") }));
    await desktop.gone("lost");
    const other = await world.subscribe("ann", { channel: room("b") });
    assert.deepEqual(await world.online({ channel: room("a") }), ["ann"], "still present in the first");
    await refusal("TOO_MANY_CHANNELS", () => world.joinLease("ann", { channel: room("a") }));
    await other.gone("lost");
    await world.joinLease("ann", { channel: room("a") });
    await refusal("TOO_MANY_CHANNELS", () => world.joinLease("ann", { channel: room("b") }));
  });

  it("S21 never refuses a return, and allows at most twice as many channels in all", async () => {
    const world = new World({ limits: { maxChannelsPerUser: 2 } });
    const lost = ["a", "b", "c", "d"].map((name) => room(name));
    const sessions: string[] = [];
    for (const channel of lost) {
      const ann = await world.subscribe("ann", { channel });
      sessions.push(ann.sessionId);
      await ann.gone("lost");
    }
    const { metadata, message } = await refusal("TOO_MANY_CHANNELS", () =>
      world.subscribe("ann", { channel: room("e") }),
    );
    assert.deepEqual(metadata, { limit: "4" });
    assert.match(message, /^the user has sessions in 4 channels already/);
    const back = [];
    for (const [i, channel] of lost.entries()) {
      back.push(await world.subscribe("ann", { channel, sessionId: sessions[i]! }));
    }
    assert.deepEqual(
      back.map(({ sessionId }) => sessionId),
      sessions,
    );
    await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann", { channel: room("e") }));
    await world.subscribe("ann", { channel: room("a"), deviceId: "another" });
    for (const client of back.slice(1)) await client.gone("cancelled");
    await world.subscribe("ann", { channel: room("e") });
    await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann", { channel: room("b") }));
  });

  it("S23 keeps nothing of channels, users, sessions and streams once all are gone", async () => {
    const world = new World();
    for (let i = 0; i < 20; i++) {
      const user = `user ${i % 7}`;
      const channel = room(`room ${i % 5}`);
      const stream = await world.subscribe(user, { channel, initialStates: { i: String(i) } });
      await world.joinLease(user, { channel });
      await world.set(user, { pending: "1" }, { channel: room("never joined") });
      if (i % 3 > 0) await stream.gone(i % 3 === 1 ? "lost" : "cancelled");
      else await world.leave(user, { channel });
    }
    await world.pass(30_000);
    await world.pass(300_000);
    await world.pass(60_000);
    assert.deepEqual(world.memory.stats(), { channels: 0, present: 0, sessions: 0, users: 0 });
    assert.equal(world.hub.stats().channels, 0);
    assert.equal(world.service.openStreams, 0);
    assert.equal(world.clock.pending, 0);
    assert.deepEqual(world.errors, []);
  });

  it("S23 remembers an empty channel for 60 s, so that it can be resumed", async () => {
    const world = new World();
    const ann = await world.subscribe("ann");
    await ann.gone("cancelled");
    await world.pass(59_999);
    assert.equal(world.memory.stats().channels, 1);
    await world.pass(1);
    assert.equal(world.memory.stats().channels, 0);
  });

  it("stops all timers when it is closed", async () => {
    const world = new World();
    const { sessionId } = await world.joinLease("ann");
    world.service.close();
    world.memory.close();
    assert.notEqual(sessionId, "");
    assert.equal(world.clock.pending, 0);
  });
});
