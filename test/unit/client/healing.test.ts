import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import type { PresenceClient, PresenceEvent, SubscribeOptions, Subscription } from "../../../src/client/index.js";
import { createPresenceClient, PresenceError } from "../../../src/client/index.js";
import { Inbox } from "../../support/inbox.js";
import {
  at,
  changed,
  FakeService,
  type FakeStream,
  join,
  leave,
  reasonDetail,
  refusal,
  snapshot,
  subscribed,
  user,
} from "./fake_service.js";

const SOON = { minDelayMs: 1, maxDelayMs: 5 };
const LOST = { code: grpc.status.UNAVAILABLE, details: "gone" };

/** Everything that a subscription says, in order: its states and the kinds of its events. */
function sayings(subscription: Subscription): Inbox<string> {
  const inbox = new Inbox<string>();
  void (async () => {
    for await (const { kind } of subscription) inbox.push(kind);
    inbox.push("end");
  })().catch((error) => inbox.push(`failed: ${error.code}`));
  return inbox;
}

describe("Subscription, coming back", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    service.handlers.listOnlineUsers = () => ({ totalSize: 0 });
    service.handlers.leaveChannel = () => ({});
    presence = createPresenceClient({ address: service.address, userId: "tony", reconnect: SOON });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  const room = () => presence.channel("chat_room");

  async function live(options: SubscribeOptions = {}, states = {}): Promise<[Subscription, FakeStream]> {
    const subscription = room().subscribe(options);
    const stream = await service.nextStream();
    stream.send(subscribed(1), snapshot(3, [user("tony", states, 2), user("anna")]));
    await subscription.ready;
    return [subscription, stream];
  }

  it("asks for its session and for what it missed, and not again for its first state", async () => {
    const [subscription, stream] = await live({ initialStates: { a: "1" }, presenceTimeoutMs: 5000 });
    stream.send(join(4, "bob"));
    stream.fail(LOST);
    const { request } = await service.nextStream();
    assert.deepEqual([request.sessionId, request.resumeFrom?.revision], ["session-1", 4n]);
    assert.deepEqual([request.presenceTimeout?.seconds, { ...request.initialStates }], [5n, {}]);
    assert.deepEqual([...subscription.members.keys()], ["tony", "anna", "bob"]);
  });

  it("keeps its members through it and goes on with what it missed", async () => {
    const [subscription, stream] = await live();
    const said = sayings(subscription);
    stream.fail(LOST);
    const next = await service.nextStream();
    assert.deepEqual([...subscription.members.keys()], ["tony", "anna"]);
    next.send(subscribed(3, { resumed: true }), leave(4, "anna"), join(5, "bob"));
    for (const kind of ["subscribed", "snapshot", "subscribed", "leave", "join"]) assert.equal(await said.next(), kind);
    assert.deepEqual([[...subscription.members.keys()], subscription.position], [["tony", "bob"], at(5)]);
  });

  it("puts the chunks of one snapshot together, and not those of two streams", async () => {
    const [subscription, stream] = await live();
    const said = sayings(subscription);
    stream.send(snapshot(4, [user("half")], false));
    stream.fail(LOST);
    const next = await service.nextStream();
    assert.equal(next.request.resumeFrom?.revision, 3n);
    next.send(subscribed(4), snapshot(4, [user("tony"), user("bob")]));
    for (const kind of ["subscribed", "snapshot", "subscribed", "snapshot"]) assert.equal(await said.next(), kind);
    assert.deepEqual([...subscription.members.keys()], ["tony", "bob"]);
  });

  it("tells how it fares, with reasons", async () => {
    const seen: unknown[] = [];
    const [subscription, stream] = await live({
      onStatus: (now) => seen.push(now.state === "reconnecting" ? [now.state, now.reason.code] : now.state),
    });
    const state = (): string => subscription.status.state;
    assert.equal(state(), "live");
    stream.fail(LOST);
    (await service.nextStream()).fail(LOST);
    const third = await service.nextStream();
    assert.equal(state(), "reconnecting");
    third.send(subscribed(3, { resumed: true }));
    third.fail(refusal(grpc.status.ABORTED, "elsewhere", [reasonDetail("SAME_USER_REPLACED")]));
    await assert.rejects(subscription.closed, { reason: "SAME_USER_REPLACED" });
    const { status } = subscription;
    assert.ok(status.state === "closed" && (status.reason as { code: string }).code === "ABORTED");
    const lost = ["reconnecting", "UNAVAILABLE"];
    assert.deepEqual(seen, ["live", lost, lost, "live", "closed"]);
  });

  const failures: [string, (error: Error) => unknown][] = [
    [
      "throws",
      (error) => {
        throw error;
      },
    ],
    ["rejects with", (error) => Promise.reject(error)],
  ];
  for (const [how, fail] of failures) {
    it(`ends with what onStatus ${how}, and reports closed once`, async () => {
      // From the server, this error would lead to a reconnect.
      const failure = new PresenceError(
        "from the application",
        { code: "UNAVAILABLE" },
        { cause: new Error("status") },
      );
      const seen: string[] = [];
      const subscription = room().subscribe({
        onStatus: ({ state }) => {
          seen.push(state);
          return fail(failure);
        },
      });
      (await service.nextStream()).send(subscribed(), snapshot(2, [user("tony")]));
      await assert.rejects(subscription.closed, (error) => error === failure);
      await subscription.close();
      assert.deepEqual(seen, ["live", "closed"]);
    });
  }

  it("does not come back from what waiting does not cure", async () => {
    const [subscription, stream] = await live();
    const said = sayings(subscription);
    stream.fail(refusal(grpc.status.PERMISSION_DENIED, "not you", [reasonDetail("NOT_ALLOWED")]));
    for (const kind of ["subscribed", "snapshot", "failed: PERMISSION_DENIED"]) assert.equal(await said.next(), kind);
    await assert.rejects(subscription.closed, { reason: "NOT_ALLOWED" });
  });

  it("tries for the first connection as long as it is told to, and says why it failed", async () => {
    service.stop();
    const seen: unknown[] = [];
    const subscription = room().subscribe({
      reconnect: { ...SOON, connectTimeoutMs: 50 },
      onStatus: ({ state }) => seen.push(state),
    });
    await assert.rejects(subscription.ready, { code: "UNAVAILABLE" });
    assert.deepEqual([seen[0], seen.at(-1)], ["connecting", "closed"]);
    const once = room().subscribe({ reconnect: { ...SOON, connectTimeoutMs: 0 } });
    await assert.rejects(once.closed, { code: "UNAVAILABLE" });
    assert.equal(once.status.state, "closed");
  });

  it("gives up on a server that takes the call and says nothing", async () => {
    const subscription = room().subscribe({ reconnect: { ...SOON, connectTimeoutMs: 50 } });
    const stream = await service.nextStream();
    await assert.rejects(subscription.ready, { code: "DEADLINE_EXCEEDED" });
    await stream.cancelled;
  });

  describe("one's own state", () => {
    const states = (subscription: Subscription) => ({ ...subscription.members.get("tony")?.states });

    it("is set again when the server had given the user up, unless somebody set one since", async () => {
      const asked: unknown[] = [];
      service.handlers.setState = ({ states: given, expectedRevision }) => {
        asked.push([{ ...given }, expectedRevision]);
        return { state: user("tony", given, 9), position: at(9) };
      };
      const [subscription, stream] = await live({}, { Mic: "True" });
      stream.fail(LOST);
      const next = await service.nextStream();
      next.send(subscribed(8, { sessionId: "session-2" }), snapshot(8, [user("tony"), user("anna")]));
      const said = sayings(subscription);
      for (const kind of ["subscribed", "snapshot"]) assert.equal(await said.next(), kind);
      while (asked.length === 0 || !("Mic" in states(subscription))) await new Promise((go) => setImmediate(go));
      assert.deepEqual([asked, states(subscription)], [[[{ Mic: "True" }, 0n]], { Mic: "True" }]);
      assert.equal(subscription.sessionId, "session-2");
    });

    it("is not set again when the session was kept, when there is none, or when quiet", async () => {
      service.handlers.setState = () => assert.fail("nothing is to be set");
      for (const [options, carried, resumed] of [
        [{}, { Mic: "True" }, true],
        [{}, {}, false],
        [{ quiet: true }, { Mic: "True" }, false],
      ] as const) {
        const [subscription, stream] = await live(options, carried);
        stream.fail(LOST);
        (await service.nextStream()).send(subscribed(3, { resumed }), join(4, "bob"));
        while (!subscription.members.has("bob")) await new Promise((go) => setImmediate(go));
        // Answered after anything that the return might have sent.
        await room().count();
        await subscription.close();
      }
    });

    it("gives way to what the same user set elsewhere meanwhile", async () => {
      const current = user("tony", { Mic: "False" }, 7);
      service.handlers.setState = () => {
        throw refusal(grpc.status.ABORTED, "changed", [reasonDetail("STATE_REVISION_MISMATCH")]);
      };
      service.handlers.listOnlineUsers = () => ({ users: [current], totalSize: 1, position: at(7) });
      const [subscription, stream] = await live({}, { Mic: "True" });
      stream.fail(LOST);
      (await service.nextStream()).send(subscribed(3));
      while (states(subscription).Mic !== "False") await new Promise((go) => setImmediate(go));
    });

    it("waits while the stream is away, and goes out on return", async () => {
      const asked: unknown[] = [];
      service.handlers.setState = ({ states: given }) => {
        asked.push({ ...given });
        return { state: user("tony", given, 9), position: at(9) };
      };
      const [, stream] = await live();
      stream.fail(LOST);
      const next = await service.nextStream();
      const set = [
        room().setState({ Mode: "Sad" }),
        room().setState({ Mode: "Happy" }),
        room().setState({ Mic: "True" }),
      ];
      await room().count();
      assert.deepEqual(asked, []);
      next.send(subscribed(3, { resumed: true }));
      const results = await Promise.all(set);
      assert.deepEqual(asked, [{ Mode: "Happy", Mic: "True" }]);
      assert.deepEqual(
        results.map(({ position }) => position.revision),
        [9n, 9n, 9n],
      );
    });

    it("does not wait for a return that is not to be", async () => {
      const [subscription, stream] = await live();
      stream.fail(LOST);
      const next = await service.nextStream();
      const refused = assert.rejects(room().setState({ Mode: "Happy" }), { code: "CANCELLED" });
      const closing = subscription.close();
      await refused;
      next.send(subscribed());
      await closing;
    });

    it("may be set from within the iteration while the stream is away", async () => {
      service.handlers.setState = ({ states: given }) => ({ state: user("tony", given, 9), position: at(9) });
      const [subscription, stream] = await live();
      const heard: PresenceEvent["kind"][] = [];
      const iterating = (async () => {
        for await (const event of subscription) {
          heard.push(event.kind);
          if (event.kind === "join") await room().setState({ met: event.userId });
          if (event.kind === "leave") return;
        }
      })();
      stream.send(join(4, "bob"));
      stream.fail(LOST);
      const next = await service.nextStream();
      next.send(subscribed(4, { resumed: true }), changed(5, "bob", { a: "1" }), leave(6, "bob"));
      await iterating;
      assert.deepEqual(heard, ["subscribed", "snapshot", "join", "subscribed", "state_changed", "leave"]);
    });
  });

  describe("closing while away", () => {
    it("ends the session that cannot be cancelled", async () => {
      const left: string[] = [];
      service.handlers.leaveChannel = ({ sessionId }) => {
        left.push(sessionId);
        return {};
      };
      const [subscription, stream] = await live({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
      const said = sayings(subscription);
      stream.fail(LOST);
      while (subscription.status.state !== "reconnecting") await new Promise((go) => setImmediate(go));
      await subscription.close();
      assert.deepEqual(left, ["session-1"]);
      for (const kind of ["subscribed", "snapshot", "end"]) assert.equal(await said.next(), kind);
    });

    it("an aborted signal ends the waiting at once", async () => {
      const controller = new AbortController();
      const [subscription, stream] = await live({
        signal: controller.signal,
        reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 },
      });
      stream.fail(LOST);
      while (subscription.status.state !== "reconnecting") await new Promise((go) => setImmediate(go));
      controller.abort(new Error("enough"));
      await assert.rejects(subscription.closed, /enough/);
    });
  });
});
