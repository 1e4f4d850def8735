import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { SubscribePresenceResponse } from "../../gen/presence/v1/presence_service_pb.js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { createPresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { gauge } from "../support/gauge.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";
import { WindowClient } from "../support/window_client.js";

const channel = message("room");
const HEARTBEAT_MS = 10_000;
const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });

describe("stream heartbeats", () => {
  let server: RollcallServer;
  let clock: ManualClock;
  let rosa: ReturnType<typeof connect>;

  afterEach(async () => {
    rosa.channel.close();
    const closed = server.close();
    clock.advance(1000);
    await closed;
  });

  async function start(settings: Partial<ServerSettings> = { streamHeartbeat: HEARTBEAT_MS }): Promise<void> {
    clock = new ManualClock();
    server = await startTestServer({ metrics: { host: "127.0.0.1", port: 0 }, ...settings }, { clock });
    rosa = connect(server.address, "rosa");
  }

  type Responses = AsyncIterator<Pick<SubscribePresenceResponse, "events">>;

  /** Reads on to SUBSCRIBED and the SNAPSHOT behind it, where one is wanted; gives the interval that is in force. */
  async function opened(responses: Responses, withSnapshot = true): Promise<number> {
    let inForce = -1;
    for (let last = false; !last || inForce < 0; ) {
      const { events } = await next(responses);
      for (const { event } of events) {
        if (event.case === "subscribed") {
          inForce = event.value.heartbeatInterval ? durationMs(event.value.heartbeatInterval) : 0;
        }
        last ||= !withSnapshot || (event.case === "snapshot" && event.value.last);
      }
    }
    return inForce;
  }

  async function next(responses: Responses): Promise<Pick<SubscribePresenceResponse, "events">> {
    const { value } = await within("a message", responses.next());
    return value;
  }

  async function assertIdle(responses: Responses): Promise<void> {
    for (let i = 0; i < 3; i++) {
      clock.advance(HEARTBEAT_MS);
      assert.deepEqual((await next(responses)).events, []);
    }
  }

  for (const [what, request] of [
    ["a subscription", {}],
    ["a quiet one", { quiet: true }],
    ["one without presence", { withPresence: false }],
  ] as const)
    it(`are empty messages on ${what}, and SUBSCRIBED tells how often they come`, async () => {
      await start();
      const responses = rosa.client.subscribePresence({ channel, ...request })[Symbol.asyncIterator]();
      assert.equal(await opened(responses, !("withPresence" in request)), HEARTBEAT_MS);
      await assertIdle(responses);
    });

  it("come on feeds as well", async () => {
    await start();
    const responses = rosa.client.watchChannels({})[Symbol.asyncIterator]();
    assert.equal(await opened(responses, false), HEARTBEAT_MS);
    await assertIdle(responses);
  });

  for (const [setting, asked, inForce] of [
    [0, undefined, 0],
    [0, 7, 7000],
    [10_000, 7, 7000],
    [10_000, 30, 10_000],
  ] as const)
    it(`come every ${inForce} ms with a setting of ${setting} ms where the client asks for ${asked} s`, async () => {
      await start({ streamHeartbeat: setting });
      const request = asked === undefined ? {} : { heartbeatInterval: seconds(asked) };
      const subscription = rosa.client.subscribePresence({ channel, ...request })[Symbol.asyncIterator]();
      const feed = rosa.client.watchChannels(request)[Symbol.asyncIterator]();
      assert.equal(await opened(subscription), inForce);
      assert.equal(await opened(feed, false), inForce);
    });

  it("do not come where events do", async () => {
    await start();
    const responses = rosa.client.subscribePresence({ channel })[Symbol.asyncIterator]();
    await opened(responses);
    const anna = connect(server.address, "anna");
    await anna.client.joinChannel({ channel, ttl: seconds(300) });
    assert.equal((await next(responses)).events[0]!.event.case, "remoteJoin");
    for (let i = 0; i < 5; i++) {
      clock.advance(HEARTBEAT_MS - 1);
      await anna.client.setState({ channel, states: { i: `${i}` } });
      assert.equal((await next(responses)).events[0]!.event.case, "remoteStateChanged");
    }
    anna.channel.close();
  });

  it("do not come behind what is unsent, and do not keep a slow consumer's stream", async () => {
    await start({ streamHeartbeat: HEARTBEAT_MS, laggingTimeout: 60_000 });
    const client = await WindowClient.connect(server.address, 1024 * 1024);
    const call = client.call(PresenceService.method.subscribePresence, "rosa", {
      channel,
      initialStates: { pad: "x".repeat(4000) },
    });
    await call.read(4000);
    await client.setWindow(0);
    const anna = connect(server.address, "anna");
    await anna.client.joinChannel({ channel, ttl: seconds(300) });
    const lagging = () => gauge(server.metricsAddress, 'rollcall_readers{state="lagging"}');
    const open = () => gauge(server.metricsAddress, 'rollcall_readers{state="live"}');
    for (let i = 0; (await open()) > 0; i++) {
      await anna.client.setState({ channel, states: { pad: `${i}`.padEnd(4000) } });
    }
    assert.equal(await lagging(), 1);
    const { bytes } = call;
    for (let i = 0; i < 6; i++) clock.advance(HEARTBEAT_MS);
    assert.equal(await lagging(), 0, "ended, whatever heartbeats were due");
    clock.advance(60_000);
    assert.equal(await within("the end", call.ended()), "reset");
    assert.equal(call.bytes, bytes);
    anna.channel.close();
    client.close();
  });

  it("pass unnoticed through our client, and its subscription goes on", async () => {
    await start();
    const client = createPresenceClient({ address: server.address, userId: "tony" });
    const subscription = client.channel("room").subscribe();
    const events = subscription[Symbol.asyncIterator]();
    assert.equal((await events.next()).value?.kind, "subscribed");
    assert.equal((await events.next()).value?.kind, "snapshot");
    const feed = client.watchChannels()[Symbol.asyncIterator]();
    assert.equal((await feed.next()).value?.kind, "subscribed");
    for (let i = 0; i < 3; i++) {
      clock.advance(HEARTBEAT_MS);
      await turn();
    }
    await rosa.client.joinChannel({ channel, ttl: seconds(300) });
    assert.equal((await within("an event", events.next())).value?.kind, "join");
    assert.equal((await within("an event", feed.next())).value?.kind, "join");
    await client.close();
  });
});
