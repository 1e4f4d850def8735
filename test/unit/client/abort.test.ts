import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { onAbort } from "../../../src/client/abort.js";
import { deferred } from "../../../src/client/deferred.js";
import { createPresenceClient, type PresenceClient } from "../../../src/client/index.js";
import { at, FakeService, snapshot, subscribed, user } from "./fake_service.js";

describe("onAbort", () => {
  it("calls each callback once, and none that was removed", () => {
    const controller = new AbortController();
    const called: string[] = [];
    onAbort(controller.signal, () => called.push("a"));
    const remove = onAbort(controller.signal, () => called.push("b"));
    onAbort(controller.signal, () => called.push("c"));
    remove();
    controller.abort();
    remove();
    assert.deepEqual(called, ["a", "c"]);
  });

  it("adds one listener per signal, and removes it with the last callback", () => {
    const { signal } = new AbortController();
    const listeners = (): number => getEventListeners(signal, "abort").length;
    const first = onAbort(signal, () => {});
    const second = onAbort(signal, () => {});
    assert.equal(listeners(), 1);
    first();
    first();
    assert.equal(listeners(), 1);
    second();
    assert.equal(listeners(), 0);
    onAbort(signal, () => {})();
    assert.equal(listeners(), 0);
  });
});

describe("one AbortSignal for many calls", () => {
  let service: FakeService;
  let presence: PresenceClient;
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({ address: service.address, userId: "tony" });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  /** Starts the calls, waits until the service has them all, and lets it answer. */
  async function together(name: "getState" | "setState" | "listOnlineUsers", start: () => Promise<unknown>) {
    const all = deferred<void>();
    const answer = { state: user("tony"), users: [user("tony")], position: at(1) };
    let arrived = 0;
    service.handlers[name] = async () => {
      if (++arrived === 60) all.resolve();
      await all.promise;
      return answer;
    };
    const calls = Array.from({ length: 60 }, start);
    await all.promise;
    assert.ok(listeners() <= 1, `${listeners()} listeners`);
    await Promise.all(calls);
    assert.equal(listeners(), 0);
  }

  it("has one listener during 60 unary calls, and none afterwards", async () => {
    const room = presence.channel("chat_room");
    await together("getState", () => room.getState("tony", { signal }));
  });

  it("has one listener while 60 listings go on", async () => {
    const room = presence.channel("chat_room");
    await together("listOnlineUsers", async () => {
      for await (const { userId } of room.onlineUsers({ signal })) assert.equal(userId, "tony");
    });
  });

  it("has one listener for 60 subscriptions, and none once they are closed", async () => {
    service.handlers.leaveChannel = () => ({});
    const subscriptions = Array.from({ length: 60 }, (_, i) => presence.channel(`room-${i}`).subscribe({ signal }));
    for (const _ of subscriptions) (await service.nextStream()).send(subscribed(), snapshot(1, []));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    assert.ok(listeners() <= 1, `${listeners()} listeners`);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    // The stream ends a little later than the subscription.
    while (listeners() > 0) await turn();
  });

  it("has one listener for 60 writes that wait for the stream's return", async () => {
    const room = presence.channel("chat_room");
    const subscription = room.subscribe({ reconnect: { minDelayMs: 1, maxDelayMs: 1 } });
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(1, []));
    await subscription.ready;
    stream.fail({ code: 14, details: "lost" });
    const again = await service.nextStream();
    const writes = Array.from({ length: 60 }, (_, i) => room.setState({ n: `${i}` }, { signal }));
    assert.ok(listeners() <= 1, `${listeners()} listeners`);
    service.handlers.setState = () => ({ state: user("tony"), position: at(2) });
    service.handlers.leaveChannel = () => ({});
    again.send(subscribed(2, { resumed: true }));
    await Promise.all(writes);
    assert.equal(listeners(), 0);
  });
});
