import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message, stream } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const room = message("chat_room");

/** The story of the source text, over a real socket with a real generated client. */
describe("the story of temporary user states", () => {
  let server: RollcallServer;
  let connections: ReturnType<typeof connect>[];

  beforeEach(async () => {
    server = await startTestServer();
    connections = [];
  });

  afterEach(async () => {
    for (const { channel } of connections) channel.close();
    await server.close();
  });

  function client(userId?: string) {
    const connection = connect(server.address, userId);
    connections.push(connection);
    return connection.client;
  }

  it("S12: a state set before the join takes effect with it: REMOTE_JOIN, then REMOTE_STATE_CHANGED, at once", async () => {
    const anna = new Listener(client(), { channel: room, userId: "anna" });
    assert.deepEqual(await anna.opened(), new Map([["anna", {}]]));

    const calls = client();
    const set = await calls.setState({ channel: room, userId: "tony", states: { Mode: "Happy", Mic: "False" } });
    assert.equal(set.pending, true);
    assert.ok(set.state!.revision >= 2n ** 52n, "that of a pending state");
    const unseen = await refusalOf(calls.getState({ channel: room, userId: "tony" }));
    assert.equal(unseen.reason, "PRESENCE_USER_NOT_EXIST");

    const tony = new Listener(client(), { channel: room, userId: "tony" });
    assert.deepEqual((await tony.opened()).get("tony"), { Mode: "Happy", Mic: "False" });
    const join = await anna.expect("remoteJoin");
    assert.equal(join.$event.userId, "tony");
    assert.equal(join.occupancy, 2);
    const changed = await anna.expect("remoteStateChanged");
    assert.deepEqual(changed.state?.states, { Mode: "Happy", Mic: "False" });
    assert.equal(anna.messages.at(-1)?.events.length, 2, "both came in one delivery");
    assert.equal(changed.$event.position?.revision, join.$event.position!.revision + 1n);
  });

  it("S12: initial_states are merged over what is pending", async () => {
    const calls = client();
    await calls.setState({ channel: room, userId: "tony", states: { Mode: "Happy", Mic: "False" } });
    const tony = new Listener(calls, { channel: room, userId: "tony", initialStates: { Mic: "True", Score: "1" } });
    assert.deepEqual((await tony.opened()).get("tony"), { Mode: "Happy", Mic: "True", Score: "1" });
  });

  it("S9, S11: keys are overwritten and added, and every event has the whole state", async () => {
    const calls = client();
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const tony = new Listener(calls, { channel: room, userId: "tony", initialStates: { Mode: "Happy", Mic: "False" } });
    await tony.opened();
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");

    const set = await calls.setState({ channel: room, userId: "tony", states: { Mic: "True", Score: "7" } });
    assert.equal(set.pending, false);
    const changed = await anna.expect("remoteStateChanged");
    assert.deepEqual(changed.state?.states, { Mode: "Happy", Mic: "True", Score: "7" });
    assert.deepEqual([changed.changedKeys, changed.removedKeys], [["Mic", "Score"], []]);
    assert.deepEqual(changed.$event.position, set.position);

    await calls.setState({ channel: room, userId: "tony", states: { Mood: "calm" }, replace: true });
    const replaced = await anna.expect("remoteStateChanged");
    assert.deepEqual(replaced.state?.states, { Mood: "calm" });
    assert.deepEqual([replaced.changedKeys, replaced.removedKeys], [["Mood"], ["Mic", "Mode", "Score"]]);

    const read = await client().getState({ channel: room, userId: "tony" });
    assert.deepEqual(read.state?.states, { Mood: "calm" });
  });

  it("S9, S21: the 33rd key is refused as a whole, and nobody hears of it", async () => {
    const calls = client();
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const full = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`k${i}`, "v"]));
    const tony = new Listener(calls, { channel: room, userId: "tony", initialStates: full });
    await tony.opened();
    const refusal = await refusalOf(
      calls.setState({ channel: room, userId: "tony", states: { k0: "new", more: "v" } }),
    );
    assert.deepEqual(
      [refusal.code, refusal.reason, refusal.info?.domain, refusal.info?.metadata],
      ["FAILED_PRECONDITION", "STATE_COUNT_OVERFLOW", "presence.v1", { limit: "32", actual: "33" }],
    );
    assert.deepEqual({ ...(await calls.getState({ channel: room, userId: "tony" })).state?.states }, full);
    await calls.setState({ channel: room, userId: "tony", states: { k0: "after" } });
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    const next = await anna.expect("remoteStateChanged");
    assert.deepEqual(next.changedKeys, ["k0"], "the refused call made no event");
  });

  it("S10: RemoveState with keys, with keys that are not there, and without any", async () => {
    const calls = client();
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const tony = new Listener(calls, { channel: room, userId: "tony", initialStates: { Mode: "Happy", Mic: "False" } });
    await tony.opened();
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");

    const removed = await calls.removeState({ channel: room, userId: "tony", keys: ["Mode", "NotThere"] });
    assert.deepEqual(removed.state?.states, { Mic: "False" });
    const first = await anna.expect("remoteStateChanged");
    assert.deepEqual([first.state?.states, first.changedKeys, first.removedKeys], [{ Mic: "False" }, [], ["Mode"]]);

    await calls.removeState({ channel: room, userId: "tony" });
    const second = await anna.expect("remoteStateChanged");
    assert.deepEqual([second.state?.states, second.removedKeys], [{}, ["Mic"]]);
    const present = await calls.getState({ channel: room, userId: "tony" });
    assert.deepEqual(present.state?.states, {}, "S13: present without state is an empty map");
  });

  it("S13: the state of somebody who left is NOT_FOUND, PRESENCE_USER_NOT_EXIST", async () => {
    const calls = client();
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const tony = new Listener(client(), { channel: room, userId: "tony", initialStates: { Mode: "Happy" } });
    await tony.opened();
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    tony.cancel();
    const left = await anna.expect("remoteLeave");
    assert.deepEqual([left.$event.userId, left.occupancy], ["tony", 1]);
    const refusal = await refusalOf(calls.getState({ channel: room, userId: "tony" }));
    assert.deepEqual([refusal.code, refusal.reason], ["NOT_FOUND", "PRESENCE_USER_NOT_EXIST"]);
  });

  it("keeps MESSAGE and STREAM channels of the same name apart", async () => {
    const calls = client();
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const onStage = new Listener(calls, { channel: stream("chat_room"), userId: "tony", initialStates: { a: "1" } });
    assert.deepEqual([...(await onStage.opened()).keys()], ["tony"]);
    const inRoom = new Listener(calls, { channel: room, userId: "tony", initialStates: { b: "2" } });
    await inRoom.opened();
    await anna.expect("remoteJoin");
    assert.deepEqual((await anna.expect("remoteStateChanged")).state?.states, { b: "2" });
    const stage = await calls.getState({ channel: stream("chat_room"), userId: "tony" });
    assert.deepEqual(stage.state?.states, { a: "1" });
  });

  it("S6: with_presence=false hears nothing but SUBSCRIBED, and is present", async () => {
    const calls = client();
    const deaf = new Listener(calls, { channel: room, userId: "deaf", withPresence: false });
    const subscribed = await deaf.expect("subscribed");
    assert.equal(subscribed.occupancy, 1);
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    assert.deepEqual([...(await anna.opened()).keys()], ["deaf", "anna"]);
    await calls.setState({ channel: room, userId: "anna", states: { a: "1" } });
    await calls.leaveChannel({ channel: room, userId: "deaf" });
    await anna.expect("remoteLeave");
    await assert.rejects(deaf.next(), /the stream ended with OK/, "nothing came before its end");
  });

  it("S7: a quiet session hears everything and is seen by nobody", async () => {
    const calls = client();
    const quiet = new Listener(calls, { channel: room, userId: "monitor", quiet: true });
    assert.deepEqual(await quiet.opened(), new Map());
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    assert.deepEqual([...(await anna.opened()).keys()], ["anna"]);
    await quiet.expect("remoteJoin");
    const online = await calls.listOnlineUsers({ channel: room });
    assert.deepEqual([online.totalSize, online.users.map(({ userId }) => userId)], [1, ["anna"]]);
    const refusal = await refusalOf(calls.getState({ channel: room, userId: "monitor" }));
    assert.equal(refusal.reason, "PRESENCE_USER_NOT_EXIST");
  });

  it("S6: nobody hears its own events, unless it asked for include_self", async () => {
    const calls = client();
    const plain = new Listener(calls, { channel: room, userId: "tony" });
    await plain.opened();
    const curious = new Listener(calls, { channel: room, userId: "tony", includeSelf: true });
    await curious.opened();
    await calls.setState({ channel: room, userId: "tony", states: { a: "1" } });
    assert.deepEqual((await curious.expect("remoteStateChanged")).state?.states, { a: "1" });
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    assert.equal((await plain.expect("remoteJoin")).$event.userId, "anna", "its own change was not told");
  });

  it("S9: a key may be any name, one that JavaScript knows among them", async () => {
    const calls = client();
    const odd = JSON.parse('{"__proto__":"1","constructor":"2","toString":"3"}') as Record<string, string>;
    const anna = new Listener(calls, { channel: room, userId: "anna" });
    await anna.opened();
    const tony = new Listener(calls, { channel: room, userId: "__proto__", initialStates: odd });
    assert.deepEqual(entries((await tony.opened()).get("__proto__")), entries(odd));
    await anna.expect("remoteJoin");
    assert.deepEqual((await anna.expect("remoteStateChanged")).changedKeys, ["__proto__", "constructor", "toString"]);
    const left = await calls.removeState({ channel: room, userId: "__proto__", keys: ["__proto__", "valueOf"] });
    assert.deepEqual(entries(left.state?.states), [
      ["constructor", "2"],
      ["toString", "3"],
    ]);
    assert.deepEqual((await anna.expect("remoteStateChanged")).removedKeys, ["__proto__"]);
  });

  it("S14: expected_revision is compared, and a mismatch brings the state as it is", async () => {
    const calls = client();
    const tony = new Listener(calls, { channel: room, userId: "tony" });
    await tony.opened();
    const first = await calls.setState({ channel: room, userId: "tony", states: { a: "1" }, expectedRevision: 0n });
    const revision = first.state!.revision;
    await calls.setState({ channel: room, userId: "tony", states: { a: "2" }, expectedRevision: revision });
    const refusal = await refusalOf(
      calls.setState({ channel: room, userId: "tony", states: { a: "3" }, expectedRevision: revision }),
    );
    assert.deepEqual([refusal.code, refusal.reason], ["ABORTED", "STATE_REVISION_MISMATCH"]);
    assert.deepEqual(refusal.currentState?.states, { a: "2" });
    assert.equal(refusal.info?.metadata.actual, String(refusal.currentState?.revision));
  });

  it("S15, S5: SUBSCRIBED comes first and states the terms in force", async () => {
    const tony = new Listener(client(), {
      channel: room,
      userId: "tony",
      presenceTimeout: { seconds: 7n, nanos: 500_000_000 },
    });
    const subscribed = await tony.expect("subscribed");
    assert.match(subscribed.sessionId, /^.{16,}$/);
    assert.deepEqual(
      [subscribed.presenceTimeout?.seconds, subscribed.presenceTimeout?.nanos, subscribed.resumed],
      [7n, 500_000_000, false],
    );
    assert.equal(subscribed.occupancy, 1);
    assert.deepEqual(subscribed.$event.channel?.name, "chat_room");
  });

  it("S19: where a user is, and who is in a channel, in pages", async () => {
    const calls = client();
    for (const name of ["b", "a", "c"]) {
      await new Listener(calls, { channel: message(name), userId: "tony", initialStates: { in: name } }).opened();
    }
    const first = await calls.listUserChannels({ userId: "tony", pageSize: 2 });
    const second = await calls.listUserChannels({ userId: "tony", pageSize: 2, pageToken: first.nextPageToken });
    const found = [...first.channels, ...second.channels].map(({ channel, state }) => [
      channel?.name,
      state?.states.in,
    ]);
    assert.deepEqual(found, [
      ["a", "a"],
      ["b", "b"],
      ["c", "c"],
    ]);
    assert.equal(second.nextPageToken, "");
    assert.deepEqual((await calls.listUserChannels({ userId: "nobody" })).channels, []);

    for (const userId of ["anna", "zoe"]) await new Listener(calls, { channel: message("a"), userId }).opened();
    const one = await calls.listOnlineUsers({ channel: message("a"), pageSize: 2, includeStates: true });
    assert.deepEqual(
      one.users.map(({ userId, states }) => [userId, states]),
      [
        ["tony", { in: "a" }],
        ["anna", {}],
      ],
    );
    await calls.leaveChannel({ channel: message("a"), userId: "tony" });
    const two = await calls.listOnlineUsers({ channel: message("a"), pageSize: 2, pageToken: one.nextPageToken });
    assert.deepEqual([two.users.map(({ userId }) => userId), two.totalSize, two.nextPageToken], [["zoe"], 2, ""]);
    const count = await calls.listOnlineUsers({ channel: message("a"), countOnly: true });
    assert.deepEqual([count.users, count.totalSize], [[], 2]);
  });

  it("S20: the caller is the metadata's x-user-id or the request's user_id, and they may not differ", async () => {
    const calls = client("tony");
    const tony = new Listener(calls, { channel: room });
    await tony.opened();
    await calls.setState({ channel: room, states: { a: "1" } });
    assert.deepEqual((await calls.getState({ channel: room })).state?.states, { a: "1" });
    const refusal = await refusalOf(calls.setState({ channel: room, userId: "anna", states: { a: "2" } }));
    assert.deepEqual([refusal.code, refusal.reason], ["PERMISSION_DENIED", "NOT_ALLOWED"]);
    const nobody = await refusalOf(client().setState({ channel: room, states: { a: "2" } }));
    assert.deepEqual(
      [nobody.code, nobody.reason, nobody.violations[0]?.field],
      ["INVALID_ARGUMENT", "INVALID_USER_ID", "user_id"],
    );
  });
});

function entries(states: Record<string, string> | undefined): [string, string][] {
  return Object.entries(states ?? {}).sort();
}
