import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { ChannelType, UserStateSchema } from "../../../gen/presence/v1/presence_pb.js";
import { deferred } from "../../../src/client/deferred.js";
import type { PresenceClient } from "../../../src/client/index.js";
import { createPresenceClient, PresenceError } from "../../../src/client/index.js";
import { at, FakeService, NOON, refusal, snapshot, subscribed, user } from "./fake_service.js";

function info(reason: string, metadata: Record<string, string> = {}, domain = "presence.v1"): Any {
  return anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain, metadata }));
}

async function failureOf(call: Promise<unknown>): Promise<PresenceError> {
  const error = await call.then(
    () => assert.fail("the call should have failed"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof PresenceError, `${error}`);
  return error;
}

describe("calls of the client", () => {
  let service: FakeService;
  let presence: PresenceClient;

  beforeEach(async () => {
    service = await FakeService.start();
    presence = createPresenceClient({
      address: service.address,
      userId: "тони",
      metadata: { authorization: "Bearer t" },
    });
  });

  afterEach(async () => {
    await presence.close();
    service.stop();
  });

  it("setState sends channel, user and states, and returns the whole state", async () => {
    const seen: unknown[] = [];
    service.handlers.setState = ({ channel, userId, states, replace, expectedRevision }, call) => {
      seen.push(channel?.type, channel?.name, userId, states, replace, expectedRevision);
      seen.push(call.metadata.get("authorization"));
      return { state: user("тони", { Mode: "Happy" }, 7), pending: true, position: at(7) };
    };
    const room = presence.channel("chat_room", { type: "stream" });
    const result = await room.setState({ Mode: "Happy" }, { replace: true, expectedRevision: 0n });
    const expected = [ChannelType.STREAM, "chat_room", "тони", { Mode: "Happy" }, true, 0n, ["Bearer t"]];
    assert.deepEqual(seen, expected);
    assert.deepEqual(result, {
      state: { userId: "тони", states: { Mode: "Happy" }, revision: 7n, updateTime: NOON, joinTime: NOON },
      pending: true,
      position: { epoch: "e1", revision: 7n },
    });
  });

  it("leaves expected_revision and replace unset when they are not given", async () => {
    service.handlers.setState = (request) => {
      assert.equal(request.expectedRevision, undefined);
      assert.equal(request.replace, false);
      assert.equal(request.channel?.type, ChannelType.MESSAGE);
      return { state: user("тони"), position: at(1) };
    };
    assert.equal((await presence.channel("chat_room").setState({ a: "" })).pending, false);
  });

  it("a batch whose answer leaves the states out has results without them", async () => {
    const state = user("ann", {}, 7);
    service.handlers.batchSetState = () => ({
      results: [{ result: { case: "response", value: { state, position: at(7) } } }],
      statesOmitted: true,
    });
    service.handlers.batchJoinChannel = () => ({
      results: [{ result: { case: "response", value: { sessionId: "s", state, position: at(7) } } }],
      statesOmitted: true,
    });
    const channel = { type: "message", name: "chat_room" } as const;
    const [set] = await presence.setStates([{ channel, userId: "ann", states: { a: "1" } }]);
    const [joined] = await presence.joinMany([{ channel, userId: "ann" }]);
    for (const result of [set, joined]) {
      assert.ok(result?.ok);
      assert.deepEqual([result.value.state.states, result.value.state.revision], [undefined, 7n]);
    }
  });

  it("removeState names keys, or none for all", async () => {
    const keys: string[][] = [];
    service.handlers.removeState = (request) => {
      keys.push(request.keys);
      return { state: user("тони"), position: at(1) };
    };
    await presence.channel("chat_room").removeState(["Mode", "Mic"]);
    await presence.channel("chat_room").removeState();
    assert.deepEqual(keys, [["Mode", "Mic"], []]);
  });

  it("carries keys that are names of Object's own properties, both ways", async () => {
    const states = Object.fromEntries([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    service.handlers.setState = ({ states }) => ({ state: user("тони", states, 1), position: at(1) });
    const { state } = await presence.channel("chat_room").setState(states);
    assert.deepEqual(Object.entries(state.states), Object.entries(states));
  });

  it("getState asks for oneself unless told whom", async () => {
    service.handlers.getState = ({ userId }) => ({ state: user(userId) });
    assert.equal((await presence.channel("chat_room").getState()).userId, "тони");
    assert.equal((await presence.channel("chat_room").getState("anna")).userId, "anna");
  });

  it("onlineUsers goes through all pages, and no further than it is iterated", async () => {
    const tokens: string[] = [];
    service.handlers.listOnlineUsers = ({ pageToken, pageSize, includeStates }) => {
      assert.equal(pageSize, 2);
      assert.equal(includeStates, true);
      tokens.push(pageToken);
      const first = pageToken === "";
      return first
        ? { users: [user("a"), user("b")], nextPageToken: "second", totalSize: 3 }
        : { users: [user("c")], totalSize: 3 };
    };
    const room = presence.channel("chat_room");
    const ids: string[] = [];
    for await (const { userId } of room.onlineUsers({ includeStates: true, pageSize: 2 })) ids.push(userId);
    assert.deepEqual(ids, ["a", "b", "c"]);
    for await (const { userId } of room.onlineUsers({ includeStates: true, pageSize: 2 })) if (userId === "b") break;
    assert.deepEqual(tokens, ["", "second", ""]);
  });

  it("count asks for the number alone", async () => {
    service.handlers.listOnlineUsers = ({ countOnly }) => ({ totalSize: countOnly ? 100_000 : 0 });
    assert.equal(await presence.channel("chat_room").count(), 100_000);
  });

  it("onlineUsers and count pass on whom they are asked about", async () => {
    const asked: unknown[] = [];
    service.handlers.listOnlineUsers = ({ userIds, states, countOnly }) => {
      asked.push([userIds, { ...states }, countOnly]);
      return { users: [user("a")], totalSize: 1 };
    };
    const room = presence.channel("chat_room");
    for await (const { userId } of room.onlineUsers({ userIds: ["a", "b"] })) assert.equal(userId, "a");
    assert.equal(await room.count({ states: { Mic: "True" } }), 1);
    assert.deepEqual(asked, [
      [["a", "b"], {}, false],
      [[], { Mic: "True" }, true],
    ]);
  });

  it("channelsOf goes through all pages", async () => {
    const page = (name: string, type: ChannelType) => ({
      channel: { type, name },
      state: user("anna", { a: name }, 1),
    });
    service.handlers.listUserChannels = ({ userId, pageToken }) => {
      assert.equal(userId, "anna");
      return pageToken === ""
        ? { channels: [page("one", ChannelType.MESSAGE)], nextPageToken: "p2" }
        : { channels: [page("two", ChannelType.STREAM)] };
    };
    const found: unknown[] = [];
    for await (const { channel, state } of presence.channelsOf("anna")) found.push(channel, { ...state.states });
    assert.deepEqual(found, [
      { type: "message", name: "one" },
      { a: "one" },
      { type: "stream", name: "two" },
      { a: "two" },
    ]);
  });

  it("leave() that fails can be called again for the same lease", async () => {
    const asked: string[] = [];
    let isRefused = true;
    service.handlers.joinChannel = () => ({ sessionId: "lease-1", state: user("тони"), position: at(1) });
    service.handlers.leaveChannel = ({ sessionId }) => {
      asked.push(sessionId);
      if (isRefused) throw refusal(grpc.status.RESOURCE_EXHAUSTED, "slow down", [info("RATE_LIMITED")]);
      return {};
    };
    const room = presence.channel("chat_room");
    await room.join();
    await assert.rejects(room.leave(), { reason: "RATE_LIMITED" });
    isRefused = false;
    await room.leave();
    await assert.rejects(room.leave(), { reason: "SESSION_NOT_FOUND" });
    assert.deepEqual(asked, ["lease-1", "lease-1"]);
  });

  it("joins, renews and leaves by lease (S17)", async () => {
    service.handlers.joinChannel = ({ userId, initialStates, ttl }) => {
      assert.deepEqual([ttl?.seconds, ttl?.nanos], [1n, 500_000_000]);
      return { sessionId: "lease-1", state: user(userId, initialStates, 3), position: at(3) };
    };
    service.handlers.heartbeat = ({ sessionIds }) => ({ expiredSessionIds: sessionIds.slice(1) });
    const left: string[] = [];
    service.handlers.leaveChannel = ({ userId, sessionId }) => {
      left.push(userId, sessionId);
      return {};
    };
    const room = presence.channel("chat_room", { userId: "bot" });
    const lease = await room.join({ initialStates: { a: "1" }, ttlMs: 1500 });
    assert.deepEqual([lease.sessionId, lease.state.userId, lease.position.revision], ["lease-1", "bot", 3n]);
    assert.deepEqual(await presence.heartbeat([lease.sessionId, "gone"]), ["gone"]);
    await room.leave({ sessionId: lease.sessionId });
    assert.deepEqual(left, ["bot", "lease-1"]);
  });

  it("sends durations as whole milliseconds", async () => {
    const sent: unknown[] = [];
    service.handlers.joinChannel = ({ ttl }) => {
      sent.push(ttl);
      return { sessionId: "lease-1", state: user("тони"), position: at(1) };
    };
    service.handlers.heartbeat = ({ ttl }) => {
      sent.push(ttl);
      return {};
    };
    service.handlers.batchJoinChannel = ({ requests }) => {
      sent.push(requests[0]?.ttl);
      return {};
    };
    const room = presence.channel("chat_room");
    await room.join({ ttlMs: 0.07 * 100_000 });
    await presence.heartbeat(["lease-1"], { ttlMs: 10_000 / 3 });
    await presence.joinMany([{ channel: room, ttlMs: 299_999.999_999_99 }]);
    const subscription = room.subscribe({ presenceTimeoutMs: 1000 / 3 });
    const stream = await service.nextStream();
    sent.push(stream.request.presenceTimeout);
    stream.end();
    await subscription.closed;
    assert.deepEqual(
      sent.map((duration) => duration && durationMs(duration as Duration)),
      [7000, 3333, 300_000, 333],
    );
    for (const duration of sent) {
      const { nanos } = duration as Duration;
      assert.ok(Number.isInteger(nanos) && nanos % 1_000_000 === 0, `${nanos}`);
    }
  });

  describe("errors", () => {
    it("have reason, metadata and code (S22)", async () => {
      service.handlers.setState = () => {
        const details = [info("STATE_COUNT_OVERFLOW", { limit: "32", actual: "33" })];
        throw refusal(grpc.status.FAILED_PRECONDITION, "too many — 33", details);
      };
      const error = await failureOf(presence.channel("chat_room").setState({}));
      assert.equal(error.reason, "STATE_COUNT_OVERFLOW");
      assert.equal(error.code, "FAILED_PRECONDITION");
      assert.equal(error.message, "too many — 33");
      assert.deepEqual({ ...error.metadata }, { limit: "32", actual: "33" });
      assert.deepEqual(error.violations, []);
      assert.equal(error.name, "PresenceError");
    });

    it("have field violations, the time to wait, and the current state", async () => {
      const fieldViolations = [{ field: "channel.name", description: "must not be empty" }];
      const details = [
        anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })),
        anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 250_000_000 } })),
        anyPack(UserStateSchema, create(UserStateSchema, user("тони", { a: "now" }, 9))),
        info("STATE_REVISION_MISMATCH"),
      ];
      service.handlers.getState = () => {
        throw refusal(grpc.status.ABORTED, "no", details);
      };
      const error = await failureOf(presence.channel("").getState());
      assert.deepEqual(error.violations, [{ field: "channel.name", description: "must not be empty" }]);
      assert.equal(error.retryAfterMs, 1250);
      assert.equal(error.currentState?.revision, 9n);
      assert.deepEqual({ ...error.currentState?.states }, { a: "now" });
      assert.equal(error.reason, "STATE_REVISION_MISMATCH");
    });

    it("have no reason when it is unknown, of another domain, or cannot be read", async () => {
      const broken = new grpc.Metadata();
      broken.set("grpc-status-details-bin", Buffer.from([0xff, 0xff]));
      const garbled = new grpc.Metadata();
      const any = { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: new Uint8Array([0xff]) };
      const bytes = toBinary(StatusSchema, create(StatusSchema, { details: [any] }));
      garbled.set("grpc-status-details-bin", Buffer.from(bytes));
      const statuses = [
        refusal(grpc.status.NOT_FOUND, "no", [info("SOMETHING_NEW")]),
        refusal(grpc.status.NOT_FOUND, "no", [info("UNSPECIFIED")]),
        refusal(grpc.status.NOT_FOUND, "no", [info("1")]),
        refusal(grpc.status.NOT_FOUND, "no", [info("NOT_ALLOWED", {}, "elsewhere")]),
        { code: grpc.status.NOT_FOUND, details: "no", metadata: broken },
        { code: grpc.status.NOT_FOUND, details: "no", metadata: garbled },
      ];
      for (const status of statuses) {
        service.handlers.getState = () => {
          throw status;
        };
        const error = await failureOf(presence.channel("chat_room").getState());
        assert.deepEqual([error.code, error.reason], ["NOT_FOUND", undefined]);
      }
    });

    it("are UNAVAILABLE without a reason when nobody answers", async () => {
      const gone = await FakeService.start();
      gone.stop();
      await using lonely = createPresenceClient({ address: gone.address, userId: "tony" });
      const error = await failureOf(lonely.channel("chat_room").getState());
      assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", undefined]);
    });

    it("are the signal's reason when the call was aborted", async () => {
      const controller = new AbortController();
      service.handlers.getState = () => {
        controller.abort();
        return new Promise(() => {});
      };
      const call = presence.channel("chat_room").getState("tony", { signal: controller.signal });
      await assert.rejects(call, { name: "AbortError" });
      const why = new Error("enough");
      const aborted = presence.channel("chat_room").getState("tony", { signal: AbortSignal.abort(why) });
      await assert.rejects(aborted, (error) => error === why);
    });
  });

  it("uses one connection for all calls and streams, and ends it with close()", async () => {
    service.handlers.getState = ({ userId }) => ({ state: user(userId) });
    const room = presence.channel("chat_room");
    const subscriptions = [room.subscribe(), presence.channel("other").subscribe()];
    const streams = [await service.nextStream(), await service.nextStream()];
    for (const stream of streams) stream.send(subscribed(), snapshot(1, []));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await Promise.all([room.getState("a"), room.getState("b"), presence.channel("x").getState("c")]);
    assert.equal(service.peers.size, 1);
    const answer = deferred<void>();
    const asked = deferred<void>();
    service.handlers.leaveChannel = async () => {
      asked.resolve();
      await answer.promise;
      return {};
    };
    let closed = false;
    const closing = presence.close().then(() => {
      closed = true;
    });
    await asked.promise;
    assert.equal(closed, false, "the server has not answered yet");
    answer.resolve();
    await closing;
    await Promise.all(streams.map(({ cancelled }) => cancelled));
    const error = await failureOf(room.getState());
    assert.equal(error.code, "CANCELLED");
  });
});
