import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const room = message("devices");

/** What others hear of a user with several devices, some of them lost, on real connections. */
describe("devices of one user, over real sockets", () => {
  let server: RollcallServer;
  let network: TcpProxy;
  let desktop: ReturnType<typeof connect>;
  /** Its connection goes through `network`. */
  let phone: ReturnType<typeof connect>;
  let anna: Listener;

  beforeEach(async () => {
    server = await startTestServer({ maxChannelsPerUser: 2 });
    network = await TcpProxy.to(server.address);
    desktop = connect(server.address);
    phone = connect(network.address);
    anna = new Listener(desktop.client, { channel: room, userId: "anna" });
    await anna.opened();
  });

  afterEach(async () => {
    desktop.channel.close();
    phone.channel.close();
    await network.close();
    await server.close();
  });

  /** The events that come before one that is caused now, each with its user. */
  async function heard(): Promise<string[]> {
    const { sessionId } = await desktop.client.joinChannel({ channel: room, userId: "end" });
    await desktop.client.leaveChannel({ channel: room, userId: "end", sessionId });
    const events: string[] = [];
    for (;;) {
      const { userId, event } = await anna.next();
      if (userId !== "end") events.push(`${event.case} ${userId}`);
      else if (event.case === "remoteLeave") return events;
    }
  }

  /** Waits until the server knows that all of tony's streams in a channel are lost. */
  async function tonyDetached(channel = room): Promise<void> {
    while (!(await desktop.client.getState({ channel, userId: "tony" })).state!.detached) await turn();
  }

  it("S4: a session that returns with the initial states it began with does not undo what was set since", async () => {
    const begin = { channel: room, userId: "tony", initialStates: { mood: "available" } };
    const lost = new Listener(phone.client, begin);
    const { sessionId } = await lost.expect("subscribed");
    await desktop.client.setState({ channel: room, userId: "tony", states: { mood: "busy" } });
    assert.deepEqual(await heard(), ["remoteJoin tony", "remoteStateChanged tony", "remoteStateChanged tony"]);
    network.cut();
    await tonyDetached();

    const back = new Listener(desktop.client, { ...begin, sessionId });
    const { resumed } = await back.expect("subscribed");
    const { state } = await desktop.client.getState({ channel: room, userId: "tony" });
    assert.deepEqual([resumed, state!.states], [true, { mood: "busy" }]);
    assert.deepEqual(await heard(), []);
  });

  it("a lost phone causes no event while a tab of the same user opens and closes 100 times", async () => {
    const lost = new Listener(phone.client, { channel: room, userId: "tony", deviceId: "phone" });
    const { sessionId } = await lost.expect("subscribed");
    network.cut();
    await tonyDetached();
    assert.deepEqual(await heard(), ["remoteJoin tony"]);
    for (let round = 0; round < 100; round++) {
      const tab = new Listener(desktop.client, { channel: room, userId: "tony", deviceId: "desktop" });
      const opened = await tab.expect("subscribed");
      await desktop.client.leaveChannel({ channel: room, userId: "tony", sessionId: opened.sessionId });
    }
    await tonyDetached();
    const back = new Listener(desktop.client, { channel: room, userId: "tony", sessionId });
    assert.equal((await back.expect("subscribed")).resumed, true);
    assert.deepEqual(await heard(), []);
  });

  it("S4 S17: an entry of BatchJoinChannel ends the lost session of its device, and no other one", async () => {
    const sessions: Record<string, string> = {};
    for (const deviceId of ["phone", "tablet"]) {
      const lost = new Listener(phone.client, { channel: room, userId: "tony", deviceId });
      sessions[deviceId] = (await lost.expect("subscribed")).sessionId;
    }
    network.cut();
    await tonyDetached();
    const { results } = await desktop.client.batchJoinChannel({
      requests: ["phone", "a\0b"].map((deviceId) => ({ channel: room, userId: "tony", deviceId })),
    });
    assert.deepEqual(
      results.map(({ result }) => (result.case === "error" ? result.value.message : result.case)),
      ["response", "device_id: must not hold control characters"],
    );
    for (const [deviceId, resumed] of [
      ["phone", false],
      ["tablet", true],
    ] as const) {
      const back = new Listener(desktop.client, { channel: room, userId: "tony", sessionId: sessions[deviceId]! });
      assert.equal((await back.expect("subscribed")).resumed, resumed, deviceId);
    }
    assert.deepEqual(await heard(), ["remoteJoin tony"]);
  });

  it("S21: a user that was lost in its last allowed channel joins another one, and returns to the first", async () => {
    const channels = ["a", "b", "c", "d", "e"].map(message);
    const lost: string[] = [];
    for (const channel of channels.slice(0, 2)) {
      const stream = new Listener(phone.client, { channel, userId: "tony" });
      lost.push((await stream.expect("subscribed")).sessionId);
    }
    const join = (channel: typeof room, sessionId = "") =>
      new Listener(desktop.client, { channel, userId: "tony", sessionId }).expect("subscribed");
    assert.equal((await refusalOf(join(channels[2]!))).reason, "TOO_MANY_CHANNELS");
    network.cut();
    for (const channel of channels.slice(0, 2)) await tonyDetached(channel);
    for (const channel of channels.slice(2, 4)) await join(channel);
    const { channels: places } = await desktop.client.listUserChannels({ userId: "tony" });
    assert.deepEqual(
      places.map(({ channel, state }) => [channel!.name, state!.detached]),
      [
        ["a", true],
        ["b", true],
        ["c", false],
        ["d", false],
      ],
    );
    assert.equal((await refusalOf(join(channels[4]!))).reason, "TOO_MANY_CHANNELS");
    assert.equal((await join(channels[0]!, lost[0])).resumed, true);
  });
});
