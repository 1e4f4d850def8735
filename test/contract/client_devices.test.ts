import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { createPresenceClient, type PresenceClient, type Subscription } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const SOON = { minDelayMs: 1, maxDelayMs: 20 };

/** Resolves when the subscription's own state is this one. */
async function untilOwn(subscription: Subscription, states: Readonly<Record<string, string>>): Promise<void> {
  while (!isDeepStrictEqual({ ...subscription.members.get("tony")?.states }, states)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a user's devices, with the client", () => {
  let server: RollcallServer;
  const clients: PresenceClient[] = [];
  const proxies: TcpProxy[] = [];

  beforeEach(async () => {
    server = await startTestServer({ rateLimit: 0 });
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
    await server.close();
  });

  function device(deviceId: string, address = server.address, userId = "tony"): PresenceClient {
    const client = createPresenceClient({ address, userId, deviceId, reconnect: SOON });
    clients.push(client);
    return client;
  }

  async function proxied(): Promise<TcpProxy> {
    const proxy = await TcpProxy.to(server.address);
    proxies.push(proxy);
    return proxy;
  }

  it("members show what another device of the user sets; the iteration leaves it out", async () => {
    const phone = device("phone").channel("room").subscribe();
    await phone.ready;
    const events = phone[Symbol.asyncIterator]();
    assert.deepEqual(
      [(await events.next()).value?.kind, (await events.next()).value?.kind],
      ["subscribed", "snapshot"],
    );
    const next = events.next();
    await device("desktop").channel("room").setState({ Status: "busy" });
    await untilOwn(phone, { Status: "busy" });
    await device("", server.address, "anna").channel("room").join();
    const { value } = await next;
    assert.deepEqual([value?.kind, value && "userId" in value && value.userId], ["join", "anna"]);
  });

  it("a quiet subscription sees its own user's visible session change and leave", async () => {
    const monitor = device("monitor").channel("room").subscribe({ quiet: true });
    await monitor.ready;
    const room = device("phone").channel("room");
    const phone = room.subscribe({ initialStates: { Status: "available" } });
    await untilOwn(monitor, { Status: "available" });
    await phone.close();
    while (monitor.members.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("restores after a restart what another device set last", async () => {
    const proxy = await proxied();
    const phone = device("phone", proxy.address)
      .channel("room")
      .subscribe({ initialStates: { Status: "available" } });
    await phone.ready;
    await device("desktop").channel("room").setState({ Status: "busy" });
    await untilOwn(phone, { Status: "busy" });
    const { address } = server;
    proxy.refuse();
    await Promise.all(clients.splice(1).map((client) => client.close()));
    await server.close();
    server = await startTestServer({ rateLimit: 0, listen: hostAndPort(address) });
    proxy.flow();
    while ((await stateOf("room")) !== JSON.stringify({ Status: "busy" })) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it("a key that is pending when it returns costs no other key", async () => {
    const proxy = await proxied();
    const phone = device("phone", proxy.address)
      .channel("room")
      .subscribe({ initialStates: { Status: "available", Mic: "on" } });
    await phone.ready;
    proxy.refuse();
    const { address } = server;
    await server.close();
    server = await startTestServer({ rateLimit: 0, listen: hostAndPort(address) });
    assert.equal((await device("desktop").channel("room").setState({ Mic: "off" })).pending, true);
    proxy.flow();
    await untilOwn(phone, { Mic: "off", Status: "available" });
  });

  it("a key that another device removed while it was away stays removed", async () => {
    const proxy = await proxied();
    const phone = device("phone", proxy.address)
      .channel("room")
      .subscribe({ presenceTimeoutMs: 0, initialStates: { Status: "available", Mic: "on" } });
    await phone.ready;
    const desktop = device("desktop").channel("room");
    await desktop.subscribe().ready;
    proxy.refuse();
    await desktop.removeState(["Mic"]);
    proxy.flow();
    await untilOwn(phone, { Status: "available" });
    while (phone.status.state !== "live") await new Promise((resolve) => setImmediate(resolve));
    // Carried out behind a restore, if there was one.
    await phone.ready;
    await device("phone").channel("room").setState({ Last: "1" });
    await untilOwn(phone, { Last: "1", Status: "available" });
  });

  it("leave() ends the sessions of this client only; all: true ends all", async () => {
    const desktop = device("desktop").channel("room").subscribe();
    await desktop.ready;
    const room = device("phone").channel("room");
    const phone = room.subscribe();
    await phone.ready;
    await room.join();
    await room.leave();
    await phone.closed;
    assert.equal(desktop.status.state, "live");
    await assert.rejects(room.leave(), { reason: "SESSION_NOT_FOUND" });
    assert.equal(await room.count(), 1);
    await room.leave({ all: true });
    await desktop.closed;
    assert.equal(await room.count(), 0);
  });

  it("join() that is aborted in the same tick leaves no lease", async () => {
    const room = device("phone").channel("room");
    await room.count();
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const joining = room.join({ signal: controller.signal });
      controller.abort(new Error("enough"));
      await assert.rejects(joining, /enough/);
    }
    while ((await room.count()) > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it("a signal that is aborted already sends nothing", async () => {
    const room = device("phone").channel("room");
    const subscription = room.subscribe({ signal: AbortSignal.abort(new Error("enough")) });
    await assert.rejects(subscription.closed, /enough/);
    await clients[0]!.close();
    assert.equal(await device("desktop").channel("room").count(), 0);
  });

  it("100 closes in the same tick, aborts while connecting and closes during a reconnect leave no user present", async () => {
    const proxy = await proxied();
    const watcher = device("", server.address, "anna").channel("room");
    for (let i = 0; i < 100; i++) {
      const hurried = device("a", proxy.address);
      await hurried.channel("room").subscribe().close();
      const controller = new AbortController();
      const aborted = hurried.channel("room").subscribe({ signal: controller.signal });
      if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      controller.abort(new Error("enough"));
      await assert.rejects(aborted.closed, /enough/);
      const lost = hurried.channel("room").subscribe();
      await lost.ready;
      proxy.cut();
      if (i % 2 === 0) while (lost.status.state === "live") await new Promise((resolve) => setImmediate(resolve));
      await lost.close();
      await hurried.close();
      clients.splice(clients.indexOf(hurried), 1);
    }
    assert.equal(await watcher.count(), 0);
  });

  async function stateOf(channel: string): Promise<string | undefined> {
    for await (const { states } of device("desktop").channel(channel).onlineUsers({ includeStates: true })) {
      return JSON.stringify(states);
    }
    return undefined;
  }
});

/** The form that the setting has of an address. */
function hostAndPort(address: string): { host: string; port: number } {
  const [host = "", port] = address.split(":");
  return { host, port: Number(port) };
}
