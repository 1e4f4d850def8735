import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener, type SubscribeRequest } from "../support/listener.js";
import { type Refusal, refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = message("sessions");

const fieldsOf = ({ violations }: Refusal): string[] => violations.map(({ field }) => field);

/** S4, S16, S17 on a real connection: what sessions may be taken up, renewed and ended, and what is refused. */
describe("sessions that are not what they are said to be", () => {
  let server: RollcallServer;
  let calls: ReturnType<typeof connect>;
  let anna: Listener;

  beforeEach(async () => {
    server = await startTestServer();
    calls = connect(server.address);
    anna = subscribe({ userId: "anna", initialStates: { Mode: "Calm" } });
    await anna.opened();
  });

  afterEach(async () => {
    calls.channel.close();
    await server.close();
  });

  function subscribe(request: Partial<SubscribeRequest>): Listener {
    return new Listener(calls.client, { channel: room, ...request } as SubscribeRequest);
  }

  async function sessionOf(userId: string): Promise<string> {
    return (await calls.client.joinChannel({ channel: room, userId })).sessionId;
  }

  it("S4: an unknown session, and one that has ended, are an ordinary join", async () => {
    const ended = await sessionOf("tony");
    await calls.client.leaveChannel({ channel: room, userId: "tony", sessionId: ended });
    for (const sessionId of ["never given", ended]) {
      const tony = subscribe({ userId: "tony", sessionId });
      const { resumed, sessionId: given } = await tony.expect("subscribed");
      assert.deepEqual([resumed, given === sessionId], [false, false]);
      tony.cancel();
    }
  });

  it("S4: another user's session is refused, and goes on undisturbed", async () => {
    const begun = anna.messages[0]!.events[0]!.event;
    const sessionId = begun.case === "subscribed" ? begun.value.sessionId : "";
    const refusal = await refusalOf(subscribe({ userId: "mallory", sessionId }).next());
    assert.deepEqual([refusal.reason, refusal.code], ["NOT_ALLOWED", "PERMISSION_DENIED"]);
    const other = subscribe({ userId: "tony" });
    assert.deepEqual([...(await other.opened()).keys()].sort(), ["anna", "tony"]);
    assert.equal((await anna.expect("remoteJoin")).$event.userId, "tony");
  });

  it("S16: a position of another channel brings a SNAPSHOT, and no error", async () => {
    const elsewhere = message("elsewhere");
    const first = new Listener(calls.client, { channel: elsewhere, userId: "tony" });
    await first.opened();
    const resumeFrom = first.messages.at(-1)!.events.at(-1)!.position;
    const tony = subscribe({ userId: "tony", resumeFrom });
    assert.deepEqual([...(await tony.opened()).keys()].sort(), ["anna", "tony"]);
  });

  it("S5 S17: durations below zero and beyond five minutes are refused, with the field", async () => {
    for (const ms of [-1, -300_000, 300_001, 315_576_000_000_000]) {
      const stream = await refusalOf(subscribe({ userId: "tony", presenceTimeout: durationFromMs(ms) }).next());
      assert.deepEqual([stream.code, fieldsOf(stream)], ["INVALID_ARGUMENT", ["presence_timeout"]], `${ms}`);
      const lease = await refusalOf(
        calls.client.joinChannel({ channel: room, userId: "tony", ttl: durationFromMs(ms) }),
      );
      assert.deepEqual([lease.code, fieldsOf(lease)], ["INVALID_ARGUMENT", ["ttl"]], `${ms}`);
    }
    const { totalSize } = await calls.client.listOnlineUsers({ channel: room, countOnly: true });
    assert.equal(totalSize, 1, "nobody joined");
  });

  it("S17: a heartbeat takes a thousand sessions, and refuses one more", async () => {
    const mine = await sessionOf("tony");
    const ids = [mine, ...Array.from({ length: 999 }, (_, n) => `unknown${n}`)];
    const { expiredSessionIds } = await calls.client.heartbeat({ sessionIds: ids });
    assert.deepEqual(expiredSessionIds, ids.slice(1));
    const refusal = await refusalOf(calls.client.heartbeat({ sessionIds: [...ids, "one more"] }));
    assert.deepEqual([refusal.code, fieldsOf(refusal)], ["INVALID_ARGUMENT", ["session_ids"]]);
  });

  it("S2 S17: leaving a second time is SESSION_NOT_FOUND, and nobody hears of it", async () => {
    const sessionId = await sessionOf("tony");
    await anna.expect("remoteJoin");
    const leaving = { channel: room, userId: "tony", sessionId };
    await calls.client.leaveChannel(leaving);
    await anna.expect("remoteLeave");
    const refusal = await refusalOf(calls.client.leaveChannel(leaving));
    assert.deepEqual([refusal.reason, refusal.code], ["SESSION_NOT_FOUND", "NOT_FOUND"]);
    await sessionOf("bob");
    assert.equal((await anna.expect("remoteJoin")).$event.userId, "bob", "the next that is heard");
  });
});
