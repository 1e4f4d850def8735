import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Client, credentials, status } from "@grpc/grpc-js";
import { PresenceService, SubscribePresenceRequestSchema } from "../../gen/presence/v1/presence_service_pb.js";
import { bytesServiceDefinition } from "../../src/rpc/service_definition.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { endChild, startSubscriberProcess } from "../support/child.js";
import { Listener, type SubscribeRequest } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const GRACE_MS = 400;
const room = message("chat_room");

/** S2 and S3 on real connections: who leaves is gone at once, who is lost is given time. */
describe("leaving and being lost", () => {
  let server: RollcallServer;
  let watching: ReturnType<typeof connect>;
  let anna: Listener;
  let children: ChildProcess[];
  let proxy: TcpProxy;

  beforeEach(async () => {
    server = await startTestServer({ presenceTimeout: GRACE_MS });
    proxy = await TcpProxy.to(server.address);
    watching = connect(server.address);
    children = [];
    anna = new Listener(watching.client, { channel: room, userId: "anna" });
    await anna.opened();
  });

  afterEach(async () => {
    for (const child of children) await endChild(child);
    watching.channel.close();
    await proxy.close();
    await server.close();
  });

  /** Asserts that the others heard a timeout, and not before the grace had passed since `lostAt`. */
  async function expectTimeout(lostAt: number): Promise<void> {
    const event = await anna.expect("remoteTimeout");
    assert.equal(event.$event.userId, "tony");
    assert.ok(Date.now() - lostAt >= GRACE_MS, `gone after ${Date.now() - lostAt} ms, before its grace`);
    const refusal = await refusalOf(watching.client.getState({ channel: room, userId: "tony" }));
    assert.equal(refusal.reason, "PRESENCE_USER_NOT_EXIST", "the state is gone with the user");
  }

  async function joinTony(request: Partial<SubscribeRequest> = {}, address = server.address) {
    const connection = connect(address);
    const tony = new Listener(connection.client, { ...request, channel: room, userId: "tony" } as SubscribeRequest);
    await tony.opened();
    await anna.expect("remoteJoin");
    return { tony, connection };
  }

  it("S2: cancelling the stream leaves at once", async () => {
    const { tony, connection } = await joinTony({ presenceTimeout: durationFromMs(300_000) });
    tony.cancel();
    assert.equal((await anna.expect("remoteLeave")).$event.userId, "tony");
    connection.channel.close();
  });

  it("S3: a killed client is a timeout after presence_timeout, and present until then", async () => {
    const child = await startSubscriberProcess(server.address, "chat_room", "tony");
    children.push(child);
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    const lostAt = Date.now();
    await endChild(child, "SIGKILL");
    const still = await watching.client.getState({ channel: room, userId: "tony" });
    assert.deepEqual(still.state?.states, { Mic: "True" }, "present with its state during its grace");
    await expectTimeout(lostAt);
  });

  it("S3: a client whose process ends without a word is a timeout", async () => {
    const child = await startSubscriberProcess(server.address, "chat_room", "tony");
    children.push(child);
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    const lostAt = Date.now();
    child.send("exit");
    await expectTimeout(lostAt);
  });

  it("S3: a connection that is cut is a drop", async () => {
    const { connection } = await joinTony({}, proxy.address);
    const lostAt = Date.now();
    proxy.cut();
    await expectTimeout(lostAt);
    connection.channel.close();
  });

  it("S3: a call whose deadline passes is a drop", async () => {
    const { address } = server;
    const call = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    const lostAt = Date.now();
    const { path } = bytesServiceDefinition(PresenceService).subscribePresence!;
    const request = toBinary(
      SubscribePresenceRequestSchema,
      create(SubscribePresenceRequestSchema, { channel: room, userId: "tony" }),
    );
    const same = (bytes: Buffer): Buffer => bytes;
    const responses = call.makeServerStreamRequest(path, same, same, Buffer.from(request), { deadline: lostAt + 300 });
    const ended = once(responses, "error");
    responses.resume();
    await anna.expect("remoteJoin");
    const [error] = await ended;
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    await expectTimeout(lostAt + 300);
    call.close();
  });

  it("S2: with leave_on_cancel=false a cancel is a drop", async () => {
    const { tony, connection } = await joinTony({ leaveOnCancel: false });
    const lostAt = Date.now();
    tony.cancel();
    await expectTimeout(lostAt);
    connection.channel.close();
  });

  it("S4: who comes back within the grace makes no event", async () => {
    const grace = { presenceTimeout: durationFromMs(300_000), initialStates: { Mic: "True" } };
    const { tony, connection } = await joinTony(grace, proxy.address);
    await anna.expect("remoteStateChanged");
    proxy.cut();
    assert.equal((await refusalOf(tony.next())).code, "UNAVAILABLE");
    connection.channel.close();

    const again = connect(server.address);
    const returned = new Listener(again.client, { channel: room, userId: "tony" });
    assert.deepEqual((await returned.opened()).get("tony"), { Mic: "True" }, "it kept its state");
    returned.cancel();
    assert.equal((await anna.expect("remoteLeave")).$event.userId, "tony", "the next event is its leave");
    again.channel.close();
  });

  it("S2: LeaveChannel ends the stream with OK, and the others hear a leave", async () => {
    const { tony, connection } = await joinTony();
    await watching.client.leaveChannel({ channel: room, userId: "tony" });
    await anna.expect("remoteLeave");
    await assert.rejects(tony.next(), /ended with OK/);
    const again = await refusalOf(watching.client.leaveChannel({ channel: room, userId: "tony" }));
    assert.deepEqual([again.code, again.reason], ["NOT_FOUND", "SESSION_NOT_FOUND"]);
    connection.channel.close();
  });

  it("S24: going down ends streams with UNAVAILABLE, SERVER_DRAINING and when to come back", async () => {
    const ended = refusalOf(anna.next());
    const closed = server.close();
    const refusal = await ended;
    assert.deepEqual([refusal.code, refusal.reason], ["UNAVAILABLE", "SERVER_DRAINING"]);
    assert.ok(refusal.retryDelay! > 0 && refusal.retryDelay! <= 5, `comes back after ${refusal.retryDelay} s`);
    await closed;
  });

  it("S3 S5: a client whose network is gone without a word is found by the pings, and is a drop", async () => {
    const pinging = await startTestServer({ presenceTimeout: GRACE_MS, keepalive: 100, keepaliveTimeout: 100 });
    const silent = await TcpProxy.to(pinging.address);
    const near = connect(pinging.address);
    const far = connect(silent.address);
    const hears = new Listener(near.client, { channel: room, userId: "anna" });
    await hears.opened();
    await new Listener(far.client, { channel: room, userId: "tony" }).opened();
    await hears.expect("remoteJoin");
    silent.vanish();
    const lostAt = Date.now();
    assert.equal((await hears.expect("remoteTimeout")).$event.userId, "tony");
    assert.ok(Date.now() - lostAt >= GRACE_MS);
    for (const { channel } of [near, far]) channel.close();
    await silent.close();
    await pinging.close();
  });
});
