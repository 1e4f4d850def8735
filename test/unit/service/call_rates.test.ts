import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { PresenceError } from "../../../src/model/errors.js";
import { CallRates } from "../../../src/service/call_rates.js";
import { ManualClock } from "../../support/manual_clock.js";
import { authenticated } from "./callers.js";
import { ratesOff } from "./rates.js";
import { ROOM, refusal, room, World } from "./world.js";

const NOBODY = { userId: undefined };
const ANN = { userId: "ann" };

function ratesOf(rateLimit: number, rateBurst: number): CallRates {
  return new CallRates(ratesOff({ rateLimit, rateBurst }), new ManualClock());
}

/** How many of these go through before one is refused; 1000 are enough. */
function until(refused: () => void): number {
  for (let i = 0; i < 1000; i++) {
    try {
      refused();
    } catch (error) {
      assert.equal((error as PresenceError).reason, "RATE_LIMITED");
      return i;
    }
  }
  return Number.POSITIVE_INFINITY;
}

describe("service: who pays for calls (S21)", () => {
  it("a caller with a name pays for its calls, and not again for whom it acts", () => {
    const rates = ratesOf(20, 4);
    assert.equal(
      until(() => {
        rates.call(ANN, "SetState");
        rates.actingFor(ANN, "ann");
      }),
      4,
    );
    assert.equal(
      until(() => rates.call({ userId: "bob" }, "SetState")),
      4,
    );
  });

  it("for a caller without a name the users pay in whose name it calls", () => {
    const rates = ratesOf(20, 4);
    assert.equal(
      until(() => rates.call(NOBODY, "GetState")),
      Number.POSITIVE_INFINITY,
    );
    assert.equal(
      until(() => rates.actingFor(NOBODY, "ann")),
      4,
    );
    rates.actingFor(NOBODY, "bob");
  });

  it("a batch and a heartbeat are not paid for at the door, but nobody gets in who has nothing left", () => {
    const rates = ratesOf(20, 10);
    assert.equal(
      until(() => rates.call(ANN, "Heartbeat")),
      Number.POSITIVE_INFINITY,
    );
    rates.renewals(ANN, 51);
    rates.batch(ANN, 8);
    for (const method of ["Heartbeat", "BatchSetState", "BatchJoinChannel"])
      assert.equal(
        until(() => rates.call(ANN, method)),
        0,
      );
  });

  it("a batch that carries more than a full bucket costs what its entries cost, up to eleven bursts", () => {
    for (const [entries, waitMs] of [
      [60, 2550],
      [110, 5050],
      [1000, 5050],
    ] as const) {
      const rates = ratesOf(20, 10);
      rates.batch(ANN, entries);
      for (const method of ["SetState", "BatchSetState"])
        assert.throws(
          () => rates.call(ANN, method),
          (error: PresenceError) => error.retryAfterMs === waitMs,
          method,
        );
    }
  });

  it("a back end's heartbeats of others' leases are free", () => {
    const rates = ratesOf(1, 1);
    assert.equal(
      until(() => rates.renewals(NOBODY, 1000)),
      Number.POSITIVE_INFINITY,
    );
  });

  it("one whose token lets it act for others is a back end; users of one id in two apps are two", () => {
    const rates = ratesOf(20, 4);
    const ofApp = (app: string) => authenticated("back end", { app, actAs: [{ pattern: "*" }] });
    for (let i = 0; i < 50; i++) rates.renewals(ofApp("chat"), 1000);
    for (const app of ["chat", "game"])
      assert.equal(
        until(() => rates.actingFor(ofApp(app), "ann")),
        4,
        app,
      );
    assert.equal(
      until(() => rates.call(authenticated("ann", { app: "chat" }), "SetState")),
      0,
      "the same user's",
    );
    assert.equal(
      until(() => rates.call(authenticated("ann", { app: "other" }), "SetState")),
      4,
    );
  });

  it("0 turns it off", () => {
    const rates = ratesOf(0, 1);
    for (const caller of [ANN, NOBODY]) {
      assert.equal(
        until(() => {
          rates.call(caller, "SetState");
          rates.actingFor(caller, "ann");
          rates.batch(caller, 1000);
          rates.renewals(caller, 1000);
        }),
        Number.POSITIVE_INFINITY,
      );
    }
  });

  it("S22 says what is allowed, and when to come back", () => {
    const rates = ratesOf(3, 1);
    rates.call(ANN, "SetState");
    assert.throws(
      () => rates.call(ANN, "SetState"),
      (error: PresenceError) => {
        assert.equal(error.message, "too many calls: allowed are 3 calls a second and user, 1 at once");
        assert.deepEqual(error.metadata, { scope: "user", counts: "calls", limit: "3", burst: "1" });
        assert.equal(error.retryAfterMs, 334);
        return true;
      },
    );
  });
});

describe("service: limits of apps and of streams (S21)", () => {
  const limits = { rateLimit: 20, rateBurst: 4, appRateLimit: 10, appRateBurst: 6 };
  const named = (userId: string, app: string) => authenticated(userId, { app });

  it("users of an app share its limit, another app's do not, and the refusal tells which limit it was", () => {
    const clock = new ManualClock();
    const rates = new CallRates(ratesOff(limits), clock);
    const call = (userId: string, app: string) => rates.call(named(userId, app), "SetState");
    assert.equal(
      until(() => call("ann", "chat")),
      4,
    );
    assert.equal(
      until(() => call("bob", "chat")),
      2,
      "what ann's refused call did not take",
    );
    assert.throws(
      () => call("mia", "chat"),
      (error: PresenceError) => {
        assert.equal(error.message, "too many calls: allowed are 10 calls a second and app, 6 at once");
        assert.deepEqual(error.metadata, { scope: "app", counts: "calls", limit: "10", burst: "6" });
        assert.equal(error.retryAfterMs, 100);
        return true;
      },
    );
    for (let i = 0; i < 4; i++) call("ann", "game");
    clock.advance(100);
    call("mia", "chat");
    assert.equal(
      until(() => call("bob", "chat")),
      0,
    );
    rates.close();
    assert.equal(clock.pending, 0);
  });

  it("S22 who is refused for its app has paid nothing itself", () => {
    const clock = new ManualClock();
    const rates = new CallRates(ratesOff({ rateLimit: 1, rateBurst: 2, appRateLimit: 1000, appRateBurst: 1 }), clock);
    rates.call(named("bob", "chat"), "SetState");
    assert.equal(
      until(() => rates.call(named("ann", "chat"), "SetState")),
      0,
    );
    for (let i = 0; i < 2; i++) {
      clock.advance(1);
      rates.call(named("ann", "chat"), "SetState");
    }
  });

  it("an app pays for its back ends: queries and feeds, each entry of a batch, 50 renewals as one", () => {
    const only = () => new CallRates(ratesOff({ appRateLimit: 10, appRateBurst: 100 }), new ManualClock());
    for (const caller of [NOBODY, authenticated("back end", { actAs: [{ pattern: "*" }] }), ANN]) {
      assert.equal(
        until(() => {
          const rates = only();
          rates.batch(caller, 60);
          rates.renewals(caller, 2000);
          rates.call(caller, "Heartbeat");
        }),
        0,
      );
      const rates = only();
      rates.batch(caller, 60);
      rates.renewals(caller, 1951);
      assert.equal(
        until(() => rates.call(caller, "BatchSetState")),
        0,
      );
      const others = only();
      assert.equal(
        until(() => others.call(caller, "WatchChannels")),
        100,
      );
    }
  });

  it("streams are counted beside calls, for users and for apps", () => {
    const on = { streamRateLimit: 1, streamRateBurst: 2, appStreamRateLimit: 1, appStreamRateBurst: 3 };
    const rates = new CallRates(ratesOff(on), new ManualClock());
    assert.equal(
      until(() => rates.call(ANN, "SetState")),
      Number.POSITIVE_INFINITY,
    );
    assert.equal(
      until(() => rates.stream(ANN, "ann")),
      2,
    );
    assert.equal(
      until(() => rates.stream({ userId: "bob" }, undefined)),
      1,
    );
    assert.throws(
      () => rates.stream({ userId: "bob" }, "bob"),
      (error: PresenceError) => error.metadata.scope === "app" && error.metadata.counts === "streams",
    );
    rates.stream(named("mia", "game"), "mia");
  });

  it("a back end's streams are paid for by their users, and its feeds by nobody", () => {
    const rates = new CallRates(ratesOff({ streamRateLimit: 1, streamRateBurst: 2 }), new ManualClock());
    assert.equal(
      until(() => rates.stream(NOBODY, "tony")),
      2,
    );
    rates.stream(NOBODY, "anna");
    assert.equal(
      until(() => rates.stream(NOBODY, undefined)),
      Number.POSITIVE_INFINITY,
    );
  });

  it("a stream costs 1 more for each MiB of its first SNAPSHOT, and a return is never refused", () => {
    const clock = new ManualClock();
    const rates = new CallRates(ratesOff({ streamRateLimit: 1, streamRateBurst: 10 }), clock);
    const onBytes = rates.stream(ANN, "ann")!;
    for (let chunk = 0; chunk < 20; chunk++) onBytes(256 * 1024);
    assert.equal(
      until(() => rates.stream(ANN, "ann")),
      4,
      "10, less 1 and 5 MiB",
    );
    for (let i = 0; i < 50; i++) rates.stream(ANN, "ann", true)!(10 * 1024 * 1024);
    assert.throws(() => rates.stream(ANN, "ann"), { reason: "RATE_LIMITED", retryAfterMs: 101_000 });
    rates.stream(ANN, "ann", true);
    clock.advance(101_000);
    rates.stream(ANN, "ann");
  });
});

describe("service: calls too many (S21, S22)", () => {
  const limited = () => new World({ settings: { rates: ratesOff({ rateLimit: 20, rateBurst: 2 }) } });

  it("change nothing, and the user may go on as soon as it was told", async () => {
    const world = limited();
    const listener = await world.listen();
    const set = (value: string) =>
      world.service.setState(
        NOBODY,
        create(pb.SetStateRequestSchema, { channel: ROOM, userId: "ann", states: { a: value } }),
      );
    await world.service.joinChannel(NOBODY, create(pb.JoinChannelRequestSchema, { channel: ROOM, userId: "ann" }));
    await set("1");
    await world.settle();
    listener.told();
    const { retryAfterMs } = await refusal("RATE_LIMITED", () => set("2"));
    assert.equal(retryAfterMs, 50);
    await world.settle();
    assert.deepEqual(listener.told(), []);
    assert.deepEqual(await world.get("ann"), { a: "1" });
    await world.pass(50);
    await set("3");
    assert.deepEqual(await world.get("ann"), { a: "3" });
  });

  it("count against the users of a nameless caller's writes, joins, leaves and streams", async () => {
    for (const what of ["setState", "removeState", "joinChannel", "leaveChannel", "subscribe"]) {
      const world = limited();
      const request = { channel: ROOM, userId: "ann" };
      const join = () => world.service.joinChannel(NOBODY, create(pb.JoinChannelRequestSchema, request));
      const calls: Record<string, () => Promise<unknown>> = {
        setState: () => world.service.setState(NOBODY, create(pb.SetStateRequestSchema, request)),
        removeState: () => world.service.removeState(NOBODY, create(pb.RemoveStateRequestSchema, request)),
        joinChannel: join,
        leaveChannel: () => world.service.leaveChannel(NOBODY, create(pb.LeaveChannelRequestSchema, request)),
        subscribe: () =>
          world.service.subscribe(NOBODY, create(pb.SubscribePresenceRequestSchema, request), {} as never),
      };
      await join();
      await join();
      await refusal("RATE_LIMITED", calls[what]!);
    }
  });

  it("in a batch are refused by themselves for a back end, and all together for one user", async () => {
    const world = limited();
    const batch = (userIds: string[]) =>
      create(pb.BatchJoinChannelRequestSchema, { requests: userIds.map((userId) => ({ channel: ROOM, userId })) });
    const results = await world.service.batchJoinChannel(NOBODY, batch(["ann", "ann", "ann", "bob"]));
    assert.deepEqual(
      results.map((result) => ("done" in result ? "done" : (result.failed as PresenceError).reason)),
      ["done", "done", "RATE_LIMITED", "done"],
    );
    await refusal("RATE_LIMITED", () => world.service.batchJoinChannel(ANN, batch(["ann", "ann"])));
    await world.pass(100);
    const own = await world.service.batchJoinChannel(ANN, batch(["ann", "ann", "ann"]));
    assert.deepEqual(
      own.map((result) => "done" in result),
      [true, true, true],
    );
    const { retryAfterMs } = await refusal("RATE_LIMITED", async () => world.service.admit(ANN, "SetState"));
    assert.equal(retryAfterMs, 100, "one token is owed, and one to be taken");
  });

  it("of streams do not keep anybody from returning, who pays for what it is told first", async () => {
    const world = new World({ settings: { rates: ratesOff({ streamRateLimit: 1, streamRateBurst: 3 }) } });
    const first = await world.subscribe("ann");
    const second = await world.subscribe("ann", { channel: room("other") });
    await world.subscribe("ann", { withPresence: false });
    await refusal("RATE_LIMITED", () => world.open("ann"));
    await first.gone("lost");
    let { sessionId } = first;
    for (let i = 0; i < 20; i++) {
      const back = await world.subscribe("ann", { sessionId });
      await back.gone("lost");
      sessionId = back.sessionId;
    }
    await refusal("RATE_LIMITED", () => world.open("ann", { sessionId: second.sessionId }));
    await refusal("RATE_LIMITED", () => world.open("ann", { sessionId: "unknown" }));

    await world.subscribe("bob", { channel: room("large") });
    const requests = Array.from({ length: 700 }, (_, i) => ({
      channel: room("large"),
      userId: `user ${i}`,
      initialStates: { filling: "x".repeat(3000) },
    }));
    await world.service.batchJoinChannel(NOBODY, create(pb.BatchJoinChannelRequestSchema, { requests }));
    // 2.1 MB: about 2 of the 3.
    await world.subscribe("bob", { channel: room("large"), quiet: true });
    const { retryAfterMs } = await refusal("RATE_LIMITED", () => world.open("bob"));
    assert.ok(retryAfterMs! > 1000 && retryAfterMs! < 3000, `${retryAfterMs}`);
  });
});
