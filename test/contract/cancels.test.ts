import assert from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { callHeaders, FLAG, FRAME, frame, RawConnection } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = message("chat_room");
const { method } = PresenceService;
const GRACE_MS = 300;

/** A whole call: its headers and its one message. */
function call<In extends DescMessage>(
  id: number,
  { name, input }: { readonly name: string; readonly input: In },
  init: MessageInitShape<In>,
): Buffer {
  const body = toBinary(input, create(input, init));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  const head = frame(FRAME.HEADERS, FLAG.END_HEADERS, id, callHeaders(name));
  return Buffer.concat([head, frame(FRAME.DATA, FLAG.END_STREAM, id, Buffer.concat([prefix, body]))]);
}

const reset = (id: number): Buffer => frame(FRAME.RST_STREAM, 0, id, Buffer.of(0, 0, 0, 8));
const goaway = frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(8));

/** What a cancel means on a real connection, by the frames that follow it in the same write. */
describe("cancels and the frames that follow", () => {
  let server: RollcallServer;
  let watching: ReturnType<typeof connect>;
  let anna: Listener;
  let tony: RawConnection;

  beforeEach(async () => {
    server = await startTestServer({ presenceTimeout: GRACE_MS });
    watching = connect(server.address);
    anna = new Listener(watching.client, { channel: room, userId: "anna" });
    await anna.opened();
    tony = (await RawConnection.open(server.address)).greet();
    tony.send(call(1, method.subscribePresence, { channel: room, userId: "tony" }));
    await anna.expect("remoteJoin");
  });

  afterEach(async () => {
    tony.destroy();
    watching.channel.close();
    await server.close();
  });

  it("S2: a cancel alone is a leave", async () => {
    tony.send(reset(1));
    await anna.expect("remoteLeave");
  });

  it("S2: a cancel with GOAWAY behind it is a disconnect", async () => {
    tony.send(reset(1), goaway);
    await anna.expect("remoteTimeout");
  });

  it("S2: a cancel with GOAWAY before it is a disconnect", async () => {
    tony.send(goaway, reset(1));
    await anna.expect("remoteTimeout");
  });

  it("S2: a cancel on a connection that ends is a disconnect", async () => {
    const lostAt = Date.now();
    tony.send(reset(1)).end();
    await anna.expect("remoteTimeout");
    assert.ok(Date.now() - lostAt >= GRACE_MS);
  });

  it("S2: a cancel with a later call behind it is a leave, which that call sees, whatever comes then", async () => {
    const state = { channel: room, userId: "tony", states: { Mic: "True" } };
    tony.send(reset(1), call(3, method.setState, state), goaway).end();
    await anna.expect("remoteLeave");
    // The state was set after the leave and waits for the next join. Set before, it would have been an event.
    const again = new Listener(watching.client, { channel: room, userId: "tony" });
    assert.deepEqual((await again.opened()).get("tony"), { Mic: "True" });
    again.cancel();
  });

  it("S2: a call before the cancel is no later call", async () => {
    const state = { channel: room, userId: "tony", states: { Mic: "True" } };
    tony.send(call(3, method.setState, state), reset(1), goaway).end();
    await anna.expect("remoteStateChanged");
    await anna.expect("remoteTimeout");
  });

  it("S2: with leave_on_cancel=false a cancel is a disconnect, whatever follows", async () => {
    const quiet = (await RawConnection.open(server.address)).greet();
    const request = { channel: room, userId: "eve", leaveOnCancel: false };
    quiet.send(call(1, method.subscribePresence, request));
    await anna.expect("remoteJoin");
    quiet.send(reset(1), call(3, method.getState, { channel: room, userId: "eve" }));
    assert.equal((await anna.expect("remoteTimeout")).$event.userId, "eve");
    quiet.destroy();
  });

  it("S2: LeaveChannel is a leave at once, and what the connection does then changes nothing", async () => {
    tony.send(call(3, method.leaveChannel, { channel: room, userId: "tony" }), reset(1), goaway).end();
    await anna.expect("remoteLeave");
    assert.equal(
      (await refusalOf(watching.client.getState({ channel: room, userId: "tony" }))).reason,
      "PRESENCE_USER_NOT_EXIST",
    );
  });
});
