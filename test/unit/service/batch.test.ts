import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { EntryResult } from "../../../src/service/batch.js";
import { DistantEngine } from "./distant_engine.js";
import { ROOM, World } from "./world.js";

const NOBODY = { userId: undefined };

/** `done`, or why not. */
function outcomeOf(result: EntryResult<unknown>): string {
  return "done" in result ? "done" : (result.failed as { reason: string }).reason;
}

describe("service: batches", () => {
  async function join(world: World, userIds: readonly string[]) {
    const requests = userIds.map((userId) => ({ channel: ROOM, userId }));
    const request = create(pb.BatchJoinChannelRequestSchema, { requests });
    return (await world.service.batchJoinChannel(NOBODY, request)).map(outcomeOf);
  }

  async function set(world: World, changes: readonly (readonly [userId: string, value: string])[]) {
    const requests = changes.map(([userId, value]) => ({ channel: ROOM, userId, states: { a: value } }));
    const request = create(pb.BatchSetStateRequestSchema, { requests });
    return (await world.service.batchSetState(NOBODY, request)).map(outcomeOf);
  }

  it("S11 S17 reach the readers in one message", async () => {
    const world = new World();
    const listener = await world.listen();
    assert.deepEqual(await join(world, ["ann", "bob"]), ["done", "done"]);
    await set(world, [
      ["ann", "1"],
      ["bob", "2"],
    ]);
    const before = listener.sink.responses.length;
    await world.settle();
    assert.equal(listener.sink.responses.length, before + 1);
    assert.deepEqual(listener.told(), ["join ann 1", "join bob 2", "state ann 3 a=1", "state bob 4 a=2"]);
    assert.deepEqual(world.errors, []);
  });

  it("S9 check each entry by itself, and carry the good ones out in their order, however far the engine is", async () => {
    let turns = 0;
    for (const wrap of [
      undefined,
      (engine: ConstructorParameters<typeof DistantEngine>[0]) => new DistantEngine(engine, () => turns++ % 4),
    ]) {
      const world = new World({ ...(wrap && { wrap }), patience: 40 });
      await join(world, ["ann"]);
      const outcomes = await set(world, [
        ["ann", "1"],
        ["a\u0000", "2"],
        ["", "3"],
        ["ann", "x".repeat(4097)],
        ["ann", "4"],
        ["ann", "5"],
      ]);
      assert.deepEqual(outcomes, [
        "done",
        "INVALID_USER_ID",
        "INVALID_USER_ID",
        "STATE_VALUE_SIZE_OVERFLOW",
        "done",
        "done",
      ]);
      assert.deepEqual(await world.get("ann"), { a: "5" });
    }
  });

  it("bring one user in once, however often it is named", async () => {
    const world = new World();
    const listener = await world.listen();
    const requests = Array.from({ length: 1000 }, (_, i) => {
      return { channel: ROOM, userId: "ann", initialStates: { n: String(i) } };
    });
    const request = create(pb.BatchJoinChannelRequestSchema, { requests });
    const results = await world.service.batchJoinChannel(NOBODY, request);
    await world.settle();
    const joined = results.slice(0, 32).map((result) => ("done" in result ? result.done : assert.fail()));
    assert.ok(results.slice(32).every((result) => outcomeOf(result) === "TOO_MANY_SESSIONS"));
    assert.equal(new Set(joined.map(({ sessionId }) => sessionId)).size, 32);
    for (const { state, position } of joined) {
      assert.deepEqual([state.states, state.revision, position.revision], [{ n: "31" }, 2, 2]);
    }
    assert.deepEqual(listener.told(), ["join ann 1", "state ann 2 n=31"]);
    assert.equal(world.memory.stats().sessions, 33);
  });

  it("answer the entries of one user alike, whoever stands between them", async () => {
    const world = new World();
    await join(world, ["ann", "bob"]);
    const requests = ["ann", "bob", "ann"].map((userId, i) => ({ channel: ROOM, userId, states: { a: String(i) } }));
    const results = await world.service.batchSetState(NOBODY, create(pb.BatchSetStateRequestSchema, { requests }));
    const answers = results.map((result) => ("done" in result ? result.done : assert.fail()));
    assert.deepEqual(
      answers.map(({ state, position }) => [state.userId, state.states.a, state.revision, position.revision]),
      [
        ["ann", "2", 3, 3],
        ["bob", "1", 4, 4],
        ["ann", "2", 3, 3],
      ],
    );
    assert.equal(answers[0], answers[2], "one answer, to be encoded once");
  });

  it("S22 tell of an entry that failed inside apart from the others", async () => {
    const world = new World({
      wrap: (engine) =>
        Object.create(engine, {
          read: {
            value: (channel: never, userId: string) => {
              if (userId === "bob") throw new Error("connection lost");
              return engine.read(channel, userId);
            },
          },
          commit: { value: engine.commit.bind(engine) },
        }),
    });
    const requests = ["ann", "bob", "cid", "bob"].map((userId) => ({ channel: ROOM, userId }));
    const results = await world.service.batchJoinChannel(
      NOBODY,
      create(pb.BatchJoinChannelRequestSchema, { requests }),
    );
    assert.deepEqual(
      results.map((result) => ("done" in result ? result.done.state.userId : String(result.failed))),
      ["ann", "Error: connection lost", "cid", "Error: connection lost"],
    );
  });
});
