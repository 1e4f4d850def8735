import assert from "node:assert/strict";
import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ListUserChannelsRequestSchema, PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { indexedCalls, RawConnection } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { gauge } from "../support/gauge.js";
import { framed, Http2Calls } from "../support/http2_calls.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";
import { goodClaims, hs256, SECRET } from "../support/tokens.js";

const LIST = `/${PresenceService.typeName}/${PresenceService.method.listUserChannels.name}`;
const CHECK = `/${Health.typeName}/${Health.method.check.name}`;
const UNKNOWN = `/${PresenceService.typeName}/Unknown`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const tokenOf = (sub: string, presence?: object) =>
  hs256({ claims: goodClaims({ sub, ...(presence ? { presence } : {}) }) });

/** What calls cost that no user's rate limit pays for, over real sockets; time goes on as the test says. */
describe("calls that no user pays for", () => {
  let clock: ManualClock;
  let server: RollcallServer;
  let honest: ReturnType<typeof connect>;
  const open: { close(): void }[] = [];

  beforeEach(async () => {
    clock = new ManualClock();
    const settings = { tokenSecret: SECRET, rateLimit: 20, rateBurst: 40, metrics: { host: "127.0.0.1", port: 0 } };
    server = await startTestServer(settings, { clock });
    honest = connect(server.address, undefined, { token: tokenOf("backend", { act_as: ["*"] }) });
  });

  afterEach(async () => {
    honest.channel.close();
    for (const connection of open.splice(0)) connection.close();
    const closed = server.close();
    clock.advance(10_000);
    await closed;
  });

  const delayed = (): Promise<number> => gauge(server.metricsAddress, "rollcall_delayed_calls");

  /** Resolves when as many calls are delayed as that. */
  async function untilDelayed(count: number): Promise<void> {
    while ((await delayed()) !== count) await new Promise(setImmediate);
  }

  async function greet(): Promise<RawConnection> {
    const connection = await RawConnection.open(server.address);
    open.push({ close: () => connection.destroy() });
    connection.greet();
    return connection;
  }

  async function untilEnded(connection: RawConnection, count: number): Promise<void> {
    while (connection.endedStreams < count && !connection.isClosed) await new Promise(setImmediate);
    assert.equal(connection.endedStreams, count);
  }

  const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => (from + i) * 2 + 1);

  for (const [what, path, headers] of [
    ["without a token", LIST, {}],
    ["with a forged token", LIST, bearer(hs256({}, "another secret that is long enough to be one"))],
    ["of the health service", CHECK, {}],
    ["of a method that does not exist", UNKNOWN, {}],
  ] as const)
    it(`${what}: 100 at once and 100 per second on one connection; others are not delayed`, async () => {
      const flooder = await greet();
      const call = indexedCalls(path, undefined, headers);
      flooder.send(...ids(0, 100).map(call));
      await untilEnded(flooder, 100);
      flooder.send(...ids(100, 100).map(call));
      await untilDelayed(100);
      await within(
        "a call of another connection",
        honest.client.setState({ channel: message("room"), userId: "anna", states: { a: "1" } }),
      );
      clock.advance(250);
      await untilEnded(flooder, 125);
      assert.equal(await delayed(), 75);
    });

  it("a connection is ended by its 151st refused call, if none was admitted", async () => {
    const flooder = await greet();
    const call = indexedCalls(LIST);
    flooder.send(...ids(0, 100).map(call));
    await untilEnded(flooder, 100);
    flooder.send(...ids(100, 51).map(call));
    await untilDelayed(51);
    clock.advance(500);
    await untilEnded(flooder, 150);
    assert.equal(flooder.isClosed, false);
    clock.advance(10);
    await flooder.closed();
    assert.equal(flooder.goawayCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it("a user beyond its rate limit does not delay other users of the same connection", async () => {
    const proxy = new Http2Calls(server.address);
    open.push(proxy);
    const body = framed(toBinary(ListUserChannelsRequestSchema, create(ListUserChannelsRequestSchema, { userId: "" })));
    const call = (user: string): Promise<number> => {
      const { stream, status } = proxy.begin(LIST, bearer(tokenOf(user)));
      stream.end(body);
      return status.then(
        ({ code }) => code,
        () => -1,
      );
    };
    const flood = Array.from({ length: 300 }, () => call("mallory"));
    await untilDelayed(160);
    for (let i = 0; i < 100; i++) assert.equal(await within("a call", call(`user ${i}`)), 0);
    assert.equal(await delayed(), 160);
    clock.advance(1600);
    const codes = await Promise.all(flood);
    assert.deepEqual([codes.filter((code) => code === 0).length, codes.filter((code) => code === 8).length], [40, 260]);
  });

  it("refusals of a back end's users are not delayed", async () => {
    const set = () => honest.client.setState({ channel: message("room"), userId: "anna", states: { a: "1" } });
    const results = await within("300 calls", Promise.allSettled(Array.from({ length: 300 }, set)));
    assert.equal(results.filter(({ status }) => status === "rejected").length, 260);
    assert.equal(await delayed(), 0);
  });
});
