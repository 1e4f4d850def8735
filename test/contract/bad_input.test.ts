import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { Metadata } from "nice-grpc";
import type { ChannelType } from "../../gen/presence/v1/presence_pb.js";
import { SetStateRequestSchema } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, type GeneratedClient, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = message("chat_room");
const SET_STATE = "/presence.v1.PresenceService/SetState";
const MAX_UINT64 = 2n ** 64n - 1n;

/** What is sent, and what has to come back: code, reason, the field that is at fault. */
type Case = readonly [
  what: string,
  send: (client: GeneratedClient) => Promise<unknown>,
  code: string,
  reason: string,
  field: string | undefined,
];

const tony = { channel: room, userId: "tony" };
const INVALID = "INVALID_ARGUMENT";

const CASES: readonly Case[] = [
  ["no channel", (c) => c.setState({ userId: "tony" }), INVALID, "INVALID_CHANNEL_NAME", "channel"],
  [
    "an empty channel name",
    (c) => c.setState({ ...tony, channel: message("") }),
    INVALID,
    "INVALID_CHANNEL_NAME",
    "channel.name",
  ],
  [
    "129 bytes of channel name",
    (c) => c.setState({ ...tony, channel: message(`${"é".repeat(64)}x`) }),
    INVALID,
    "INVALID_CHANNEL_NAME",
    "channel.name",
  ],
  [
    "a control character in the channel name",
    (c) => c.setState({ ...tony, channel: message("a\u0007b") }),
    INVALID,
    "INVALID_CHANNEL_NAME",
    "channel.name",
  ],
  [
    "a C1 control character in the user id",
    (c) => c.setState({ ...tony, userId: "a\u0085b" }),
    INVALID,
    "INVALID_USER_ID",
    "user_id",
  ],
  [
    "no channel type",
    (c) => c.setState({ ...tony, channel: { name: "x" } }),
    INVALID,
    "INVALID_CHANNEL_TYPE",
    "channel.type",
  ],
  [
    "an unknown channel type",
    (c) => c.setState({ ...tony, channel: { type: 99 as ChannelType, name: "x" } }),
    INVALID,
    "INVALID_CHANNEL_TYPE",
    "channel.type",
  ],
  ["no user", (c) => c.setState({ channel: room }), INVALID, "INVALID_USER_ID", "user_id"],
  [
    "129 bytes of user id",
    (c) => c.setState({ ...tony, userId: "u".repeat(129) }),
    INVALID,
    "INVALID_USER_ID",
    "user_id",
  ],
  [
    "129 bytes of device id",
    (c) => c.joinChannel({ ...tony, deviceId: "d".repeat(129) }),
    INVALID,
    "INVALID_ARGUMENT",
    "device_id",
  ],
  [
    "a NUL in a device id",
    (c) => c.joinChannel({ ...tony, deviceId: "d\0" }),
    INVALID,
    "INVALID_ARGUMENT",
    "device_id",
  ],
  ["an empty key", (c) => c.setState({ ...tony, states: { "": "x" } }), INVALID, "INVALID_STATE_KEY", "states"],
  [
    "a newline in a key",
    (c) => c.setState({ ...tony, states: { "a\nb": "x" } }),
    INVALID,
    "INVALID_STATE_KEY",
    "states",
  ],
  [
    "65 bytes of key",
    (c) => c.setState({ ...tony, states: { ["k".repeat(65)]: "x" } }),
    INVALID,
    "STATE_KEY_SIZE_OVERFLOW",
    "states",
  ],
  [
    "a value of 5 KiB",
    (c) => c.setState({ ...tony, states: { Mood: "x".repeat(5120) } }),
    INVALID,
    "STATE_VALUE_SIZE_OVERFLOW",
    'states["Mood"]',
  ],
  [
    "33 keys",
    (c) => c.setState({ ...tony, states: keys(33) }),
    "FAILED_PRECONDITION",
    "STATE_COUNT_OVERFLOW",
    undefined,
  ],
  [
    "more than 16 KiB of state",
    (c) =>
      c.setState({
        ...tony,
        states: { a: "x".repeat(4096), b: "x".repeat(4096), c: "x".repeat(4096), d: "x".repeat(4096) },
      }),
    "FAILED_PRECONDITION",
    "STATE_SIZE_OVERFLOW",
    undefined,
  ],
  [
    "the largest revision",
    (c) => c.setState({ ...tony, states: { a: "1" }, expectedRevision: MAX_UINT64 }),
    "ABORTED",
    "STATE_REVISION_MISMATCH",
    undefined,
  ],
  [
    "an empty key to remove",
    (c) => c.removeState({ ...tony, keys: ["ok", ""] }),
    INVALID,
    "INVALID_STATE_KEY",
    "keys[1]",
  ],
  [
    "1001 keys to remove",
    (c) => c.removeState({ ...tony, keys: Array.from({ length: 1001 }, (_, i) => `k${i}`) }),
    INVALID,
    INVALID,
    "keys",
  ],
  ["a negative page size", (c) => c.listOnlineUsers({ channel: room, pageSize: -1 }), INVALID, INVALID, "page_size"],
  [
    "the least page size",
    (c) => c.listUserChannels({ userId: "tony", pageSize: -(2 ** 31) }),
    INVALID,
    INVALID,
    "page_size",
  ],
  [
    "a page token that is none",
    (c) => c.listOnlineUsers({ channel: room, pageToken: "bm9uZQ" }),
    INVALID,
    "INVALID_PAGE_TOKEN",
    "page_token",
  ],
  [
    "a negative presence timeout",
    (c) => opened(c, { presenceTimeout: { seconds: -1n } }),
    INVALID,
    INVALID,
    "presence_timeout",
  ],
  [
    "a huge presence timeout",
    (c) => opened(c, { presenceTimeout: { seconds: 2n ** 62n } }),
    INVALID,
    INVALID,
    "presence_timeout",
  ],
  [
    "301 s of presence timeout",
    (c) => opened(c, { presenceTimeout: { seconds: 301n } }),
    INVALID,
    INVALID,
    "presence_timeout",
  ],
  [
    "33 initial states",
    (c) => opened(c, { initialStates: keys(33) }),
    "FAILED_PRECONDITION",
    "STATE_COUNT_OVERFLOW",
    undefined,
  ],
  [
    "1001 users asked for",
    (c) => c.listOnlineUsers({ channel: room, userIds: Array.from({ length: 1001 }, (_, i) => `u${i}`) }),
    INVALID,
    "INVALID_ARGUMENT",
    "user_ids",
  ],
  [
    "an empty user id among those asked for",
    (c) => c.listOnlineUsers({ channel: room, userIds: ["a", ""] }),
    INVALID,
    "INVALID_USER_ID",
    "user_ids[1]",
  ],
  [
    "33 pairs to look for",
    (c) =>
      c.listOnlineUsers({
        channel: room,
        states: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ""])),
      }),
    INVALID,
    "INVALID_ARGUMENT",
    "states",
  ],
  [
    "1001 sessions in a heartbeat",
    (c) => c.heartbeat({ sessionIds: Array.from({ length: 1001 }, () => "s") }),
    INVALID,
    INVALID,
    "session_ids",
  ],
  ["no session in a heartbeat", (c) => c.heartbeat({}), INVALID, INVALID, "session_ids"],
];

function keys(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));
}

function opened(client: GeneratedClient, request: object): Promise<unknown> {
  return new Listener(client, { ...tony, ...request }).opened();
}

describe("bad input", () => {
  let server: RollcallServer;
  let good: ReturnType<typeof connect>;
  let anna: Listener;

  before(async () => {
    server = await startTestServer();
    good = connect(server.address);
    anna = new Listener(good.client, { channel: room, userId: "anna", initialStates: { a: "1" } });
    await anna.opened();
  });

  after(async () => {
    good.channel.close();
    await server.close();
  });

  /** Nothing changed, and everybody else is served as before. */
  async function assertUnharmed(): Promise<void> {
    const online = await good.client.listOnlineUsers({ channel: room, includeStates: true });
    assert.deepEqual(
      online.users.map(({ userId, states }) => [userId, states]),
      [["anna", { a: "1" }]],
    );
    const again = new Listener(good.client, { channel: room, userId: "bob" });
    await again.opened();
    again.cancel();
    assert.equal((await anna.expect("remoteJoin")).$event.userId, "bob", "the first event since");
    await anna.expect("remoteLeave");
  }

  for (const [what, send, code, reason, field] of CASES) {
    it(`refuses ${what}: ${reason}${field ? `, field ${field}` : ""}`, async () => {
      const refusal = await refusalOf(send(good.client));
      assert.deepEqual([refusal.code, refusal.reason, refusal.info?.domain], [code, reason, "presence.v1"]);
      assert.equal(refusal.violations[0]?.field, field);
      if (field) assert.ok(refusal.violations[0]?.description, "and says what is allowed");
      await assertUnharmed();
    });
  }

  it("does not let a refused state wait for a join", async () => {
    await refusalOf(good.client.setState({ ...tony, states: { fine: "1", Mood: "x".repeat(5120) } }));
    const left = await good.client.removeState({ ...tony, keys: ["other"] });
    assert.deepEqual([left.state?.states, left.pending], [{}, true]);
  });

  describe("on the wire", () => {
    let raw: Client;

    before(() => {
      raw = new Client(server.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    });
    after(() => raw.close());
    afterEach(assertUnharmed);

    function send(path: string, bytes: Uint8Array): Promise<ServiceError> {
      const same = (buffer: Buffer): Buffer => buffer;
      return new Promise((resolve, reject) => {
        raw.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error) => {
          if (error) resolve(error);
          else reject(new Error("the call was not refused"));
        });
      });
    }

    function setStateBytes(states: Record<string, string>): Uint8Array {
      return toBinary(SetStateRequestSchema, create(SetStateRequestSchema, { ...tony, states }));
    }

    it("refuses text that is not UTF-8, and names the field", async () => {
      const bytes = Buffer.from(setStateBytes({ Mood: "XX" }));
      bytes[bytes.lastIndexOf("X")] = 0xff;
      const error = await send(SET_STATE, bytes);
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.equal(error.details, "states: must be valid UTF-8");
    });

    it("refuses a caller of two names, as one name or as none", async () => {
      for (const names of [
        ["anna", "bob"],
        ["anna", "anna"],
        ["", "anna"],
      ]) {
        const metadata = Metadata().set("x-user-id", names);
        const refusal = await refusalOf(good.client.setState({ channel: room, states: { a: "2" } }, { metadata }));
        assert.deepEqual([refusal.code, refusal.reason], ["INVALID_ARGUMENT", "INVALID_USER_ID"]);
        assert.match(refusal.message, /x-user-id: must be given once/);
      }
    });

    it("refuses bytes that are no protobuf", async () => {
      const error = await send(SET_STATE, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]));
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.match(error.details, /^the request is not a presence.v1.SetStateRequest/);
    });

    it("refuses a message of 1 MiB", async () => {
      const error = await send(SET_STATE, Buffer.alloc(1024 * 1024));
      assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    });

    it("refuses a wrong method and a wrong service", async () => {
      for (const path of ["/presence.v1.PresenceService/NoSuchMethod", "/presence.v2.PresenceService/SetState", "/"]) {
        assert.equal((await send(path, new Uint8Array())).code, status.UNIMPLEMENTED, path);
      }
    });

    it("survives a frame that is cut short", async () => {
      const session = connectHttp2(`http://${server.address}`);
      const call = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: SET_STATE,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        te: "trailers",
      });
      const answered = once(call, "response");
      // The prefix promises 100 bytes; three come, and then the end.
      call.end(Buffer.from([0, 0, 0, 0, 100, 1, 2, 3]));
      call.resume();
      const [headers] = await answered;
      assert.equal(Number(headers["grpc-status"]), status.INVALID_ARGUMENT);
      session.close();
    });

    it("survives what is not HTTP/2 at all", async () => {
      const [host, port] = server.address.split(":");
      const socket = connectTcp(Number(port), host);
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      socket.resume();
      await once(socket, "close");
    });
  });
});
