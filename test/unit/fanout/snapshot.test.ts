import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SubscribePresenceResponseSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import { MAX_CHUNK_BYTES, SharedSnapshot } from "../../../src/fanout/snapshot.js";
import type { BuiltChunk, SnapshotUser } from "../../../src/fanout/snapshot_chunk.js";
import { encodeUserState, eventCodec } from "../../../src/wire/event_codec.js";
import { property } from "../../support/property.js";

/** The longest names that there may be, so that what is round the users is as large as it gets. */
const codec = eventCodec.forChannel({ type: 2, name: "n".repeat(128) }, "e".repeat(64));

/** All chunks of a snapshot of users whose states are about so large. */
function chunksOf(sizes: readonly number[]) {
  return chunksOfUsers(sizes.map((size, i) => userOf(`user ${i}`, size)));
}

/** A user whose state is about so large. */
function userOf(userId: string, size: number): SnapshotUser {
  const state = { userId, states: { value: "x".repeat(size) }, revision: 2 ** 53 - 1 };
  return { state: { ...state, updateTime: 1e13, joinTime: 1e13 }, bytes: undefined };
}

/** All chunks of a snapshot of these users, and what the next one can be built of. */
function chunksOfUsers(users: readonly SnapshotUser[], earlier: readonly BuiltChunk[] = []) {
  let encoded = 0;
  const snapshot = new SharedSnapshot({
    codec,
    users,
    stateBytes: ({ state }) => {
      encoded += 1;
      return encodeUserState(state);
    },
    sizeOf: eventCodec.sizeInSnapshot,
    earlier,
    revision: 2 ** 53 - 1,
    time: 1e13,
    maxChunkBytes: MAX_CHUNK_BYTES,
  });
  while (!snapshot.isComplete) snapshot.build();
  const pieces: Uint8Array[] = [];
  for (let piece = snapshot.chunk(0); piece; piece = snapshot.chunk(pieces.length)) pieces.push(piece);
  const bodies = pieces.map((piece) => {
    const { events } = fromBinary(SubscribePresenceResponseSchema, piece);
    assert.equal(events.length, 1);
    const [{ event, position }] = events as [(typeof events)[0]];
    assert.equal(event.case, "snapshot");
    assert.equal(position?.revision, 2n ** 53n - 1n);
    return event.value as Extract<typeof event, { case: "snapshot" }>["value"];
  });
  return { pieces, bodies, encoded, built: snapshot.built };
}

describe("fanout: snapshots (S15)", () => {
  it("is one last chunk, even of an empty channel", () => {
    const { bodies } = chunksOf([]);
    assert.deepEqual(
      bodies.map(({ users, last, occupancy }) => [users.length, last, occupancy]),
      [[0, true, 0]],
    );
  });

  it("leaves room for what is round the users, however well they fill a chunk", () => {
    for (let size = 128 * 1024 - 1200; size < 128 * 1024; size += 3) {
      const { pieces } = chunksOf([128 * 1024, size]);
      for (const { length } of pieces) assert.ok(length <= MAX_CHUNK_BYTES, `${length} bytes`);
    }
  });

  const sizes = fc.array(fc.constantFrom(0, 1000, 60_000, 120_000, 128 * 1024), { maxLength: 20 });

  property(
    "every chunk has at most 256 KiB, the last one is marked, and nobody is left out or twice in it",
    [sizes],
    (sizes) => {
      const { pieces, bodies } = chunksOf(sizes);
      for (const { length } of pieces) assert.ok(length <= MAX_CHUNK_BYTES, `${length} bytes`);
      assert.deepEqual(
        bodies.map(({ last }) => last),
        bodies.map((_, i) => i === bodies.length - 1),
      );
      assert.deepEqual(
        bodies.flatMap(({ users }) => users.map(({ userId }) => userId)),
        sizes.map((_, i) => `user ${i}`),
      );
      for (const { occupancy } of bodies) assert.equal(occupancy, sizes.length);
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      assert.ok(bodies.length <= 1 + bytes / (MAX_CHUNK_BYTES - 130 * 1024), `${bodies.length} chunks`);
    },
    { runs: 50 },
  );

  it("encodes nobody again who is as before, and keeps nothing of what is complete at once", () => {
    const users = Array.from({ length: 2000 }, (_, i) => userOf(`user ${i}`, 1000));
    const first = chunksOfUsers(users);
    assert.equal(first.encoded, 2000);
    const second = chunksOfUsers(users, first.built);
    assert.equal(second.encoded, 0);
    assert.deepEqual(second.pieces, first.pieces);
    assert.deepEqual(chunksOfUsers(users.slice(0, 500)).built, []);
  });

  const changes = fc.array(
    fc.record({
      left: fc.array(fc.nat(1999), { maxLength: 20 }),
      changed: fc.array(fc.record({ at: fc.nat(1999), size: fc.constantFrom(0, 700, 60_000) }), { maxLength: 20 }),
      came: fc.nat(300),
    }),
    { minLength: 1, maxLength: 4 },
  );

  property(
    "built of the last one, it says the same as if it were built anew",
    [changes],
    (rounds) => {
      let users = Array.from({ length: 2000 }, (_, i) => userOf(`user ${i}`, 700));
      let { built } = chunksOfUsers(users);
      for (const [round, { left, changed, came }] of rounds.entries()) {
        for (const { at, size } of changed) if (users[at]) users[at] = userOf(users[at].state.userId, size);
        users = users.filter((_, i) => !left.includes(i));
        for (let i = 0; i < came; i++) users.push(userOf(`user ${i} of round ${round}`, 700));
        const snapshot = chunksOfUsers(users, built);
        built = snapshot.built;
        assert.deepEqual(
          snapshot.bodies.flatMap((body) => body.users.map(({ userId, states }) => [userId, states.value!.length])),
          users.map(({ state }) => [state.userId, state.states.value!.length]),
        );
        assert.ok(snapshot.encoded <= changed.length + came, `${snapshot.encoded} were encoded`);
        for (const { length } of snapshot.pieces) assert.ok(length <= MAX_CHUNK_BYTES, `${length} bytes`);
        const bytes = snapshot.pieces.reduce((sum, { length }) => sum + length, 0);
        assert.ok(snapshot.pieces.length <= 2 + (2 * bytes) / (MAX_CHUNK_BYTES - 130 * 1024));
      }
    },
    { runs: 20 },
  );
});
