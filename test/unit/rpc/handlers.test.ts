import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { Heartbeats } from "../../../src/fanout/heartbeats.js";
import { CancelledStreams } from "../../../src/rpc/cancelled_streams.js";
import type { Connections } from "../../../src/rpc/connections.js";
import { presenceHandlers } from "../../../src/rpc/handlers.js";
import type { UnpaidCalls } from "../../../src/rpc/unpaid_calls.js";
import { UnreadAnswers } from "../../../src/rpc/unread_answers.js";
import { callerFromMetadata } from "../../../src/service/caller.js";
import { World } from "../service/world.js";
import { callStream, callUnary, FakeCall, reasonOf } from "./fake_call.js";

const { method } = pb.PresenceService;
const channel = { type: 1, name: "room" };

describe("rpc: handlers", () => {
  let world: World;
  let open: boolean;
  let calls: string[];
  let errors: unknown[];
  let handlers: ReturnType<typeof presenceHandlers>;

  beforeEach(() => {
    world = new World();
    [open, calls, errors] = [true, [], []];
    handlers = presenceHandlers({
      service: world.service,
      connections: {
        isOpen: () => open,
        destroy: () => {},
        certificateOf: () => undefined,
      } as unknown as Connections,
      unpaidCalls: {
        admitted: () => {},
        refused: (_session: unknown, _bytes: number, answer: () => void) => answer(),
      } as unknown as UnpaidCalls,
      unread: new UnreadAnswers({ clock: world.clock, timeoutMs: 60_000, maxBytes: 1e6 }),
      cancelled: new CancelledStreams({ clock: world.clock, afterReading: (callback) => callback() }),
      heartbeats: new Heartbeats(world.clock),
      authenticate: ({ userId }) => callerFromMetadata(userId()),
      maxRequestBytes: 1024,
      maxBatchBytes: 8192,
      onError: (error) => errors.push(error),
      onCall: (method, reason, seconds) => {
        assert.ok(seconds >= 0);
        calls.push(`${method} ${reason}`);
      },
    });
  });

  it("answers every method of the contract", async () => {
    const init = { channel, userId: "ann" };
    const { sessionId } = await callUnary(handlers.joinChannel, method.joinChannel, init);
    const set = await callUnary(handlers.setState, method.setState, { ...init, states: { mood: "fine", seat: "7" } });
    assert.deepEqual({ ...set.state!.states }, { mood: "fine", seat: "7" });
    assert.deepEqual([set.pending, set.position!.revision], [false, 2n]);
    const removed = await callUnary(handlers.removeState, method.removeState, { ...init, keys: ["seat"] });
    assert.deepEqual({ ...removed.state!.states }, { mood: "fine" });
    const got = await callUnary(handlers.getState, method.getState, init);
    assert.deepEqual(got.state, removed.state);
    const online = await callUnary(handlers.listOnlineUsers, method.listOnlineUsers, { channel });
    assert.equal(online.totalSize, 1);
    const channels = await callUnary(handlers.listUserChannels, method.listUserChannels, { userId: "ann" });
    assert.equal(channels.channels.length, 1);
    const renewed = await callUnary(handlers.heartbeat, method.heartbeat, { sessionIds: [sessionId] });
    assert.deepEqual(renewed.expiredSessionIds, []);
    await callUnary(handlers.leaveChannel, method.leaveChannel, init);
    assert.deepEqual(
      calls.map((call) => call.split(" ")[1]),
      Array(8).fill("OK"),
    );
    assert.deepEqual(Object.keys(handlers).sort(), Object.keys(method).sort());
  });

  it("S20 takes the caller's name from the metadata", async () => {
    await callUnary(handlers.joinChannel, method.joinChannel, { channel }, "ann");
    const { users } = await callUnary(handlers.listOnlineUsers, method.listOnlineUsers, { channel });
    assert.deepEqual(
      users.map(({ userId }) => userId),
      ["ann"],
    );
  });

  it("S22 refuses with a status, and counts the reason", async () => {
    const refused = async (call: Promise<unknown>): Promise<[number, string | undefined]> => {
      const error = await call.then(
        () => assert.fail("not refused"),
        (error: ServiceError) => error,
      );
      return [error.code, reasonOf(error)];
    };
    const get = (init: object | Uint8Array, userId?: string) =>
      callUnary(handlers.getState, method.getState, init, userId);
    assert.deepEqual(await refused(get({ channel }, "ann")), [status.NOT_FOUND, "PRESENCE_USER_NOT_EXIST"]);
    assert.deepEqual(await refused(get({ channel })), [status.INVALID_ARGUMENT, "INVALID_USER_ID"]);
    assert.deepEqual(await refused(get({}, "ann")), [status.INVALID_ARGUMENT, "INVALID_CHANNEL_NAME"]);
    assert.deepEqual(await refused(get({ channel }, "a".repeat(129))), [status.INVALID_ARGUMENT, "INVALID_USER_ID"]);
    assert.deepEqual(await refused(get(Uint8Array.of(255))), [status.INVALID_ARGUMENT, "INVALID_ARGUMENT"]);
    assert.deepEqual(
      calls.map((call) => call.split(" ")[1]),
      ["PRESENCE_USER_NOT_EXIST", "INVALID_USER_ID", "INVALID_CHANNEL_NAME", "INVALID_USER_ID", "INVALID_ARGUMENT"],
    );
    assert.deepEqual(errors, []);
  });

  it("S22 reports what failed inside, and tells the caller no more than that", async () => {
    world.memory.read = () => {
      throw new Error("the password is 1234");
    };
    const error = await callUnary(handlers.getState, method.getState, { channel }, "ann").then(
      () => assert.fail("not refused"),
      (error: ServiceError) => error,
    );
    assert.equal(reasonOf(error), "INTERNAL");
    assert.doesNotMatch(error.details, /1234/);
    assert.match(String(errors), /1234/);
    assert.deepEqual(calls, ["GetState INTERNAL"]);
  });

  /** A subscribing call of a user, and the handler that works on it. */
  function subscribe(userId: string, init = {}) {
    const request = create(pb.SubscribePresenceRequestSchema, { channel, userId, ...init });
    const call = new FakeCall(toBinary(pb.SubscribePresenceRequestSchema, request));
    return { call, done: callStream(handlers.subscribePresence, call) };
  }

  /** What becomes of a user whose stream is cancelled: `gone` at once, or `kept` for its grace. */
  async function fateOf(prepare: (call: FakeCall) => void): Promise<"gone" | "kept"> {
    const { call, done } = subscribe("ann");
    await world.settle();
    assert.ok(call.written.length > 0);
    prepare(call);
    call.emit("cancelled", "cancelled");
    await done;
    await world.pass(50);
    return (await world.online()).includes("ann") ? "kept" : "gone";
  }

  it("S2 takes a cancel for a leave while the connection lives", async () => {
    assert.equal(await fateOf(() => {}), "gone");
    assert.deepEqual(calls, ["SubscribePresence OK"]);
  });

  it("S3 takes a cancel for a drop when the connection is gone, or goes in the same breath", async () => {
    assert.equal(
      await fateOf(() => {
        open = false;
      }),
      "kept",
    );
    open = true;
    assert.equal(
      await fateOf((call) =>
        call.once("cancelled", () => {
          open = false;
        }),
      ),
      "kept",
    );
  });

  it("S3 takes the passing of the deadline for a drop, even when the client's clock is ahead of ours", async () => {
    for (const early of [-5, 0, 5, 90]) {
      const fate = await fateOf((call) => {
        call.deadline = early === 5 ? new Date(Date.now() + early) : Date.now() + early;
      });
      assert.equal(fate, "kept", `${early} ms before the deadline`);
      await world.leave("ann");
    }
  });

  it("S2 takes a cancel before that for a leave", async () => {
    for (const early of [394, 60_000]) {
      const fate = await fateOf((call) => {
        call.deadline = Date.now() + early;
      });
      assert.equal(fate, "gone", `${early} ms before the deadline`);
    }
  });

  it("S2 knows of a cancel that comes while the stream is being let in", async () => {
    const { call, done } = subscribe("ann");
    call.emit("cancelled", "cancelled");
    await done;
    await world.pass(50);
    assert.deepEqual(await world.online(), []);
    assert.equal(world.service.openStreams, 0);
  });

  it("S8 S22 ends a stream with a status and its details", async () => {
    const { call } = subscribe("ann");
    await turn();
    await world.leave("ann");
    assert.equal(call.ended, true);

    const other = subscribe("bob");
    await world.settle();
    world.service.drain();
    const [error] = other.call.errors;
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.equal(reasonOf(error), "SERVER_DRAINING");
  });

  it("S22 refuses a stream with a status, and lets nobody in", async () => {
    const { call, done } = subscribe("ann", { channel: { type: 1, name: "" } });
    await done;
    assert.deepEqual(call.errors.map(reasonOf), ["INVALID_CHANNEL_NAME"]);
    assert.deepEqual(calls, ["SubscribePresence INVALID_CHANNEL_NAME"]);
    assert.deepEqual(call.written, []);
    assert.equal(world.memory.stats().channels, 0);
  });
});
