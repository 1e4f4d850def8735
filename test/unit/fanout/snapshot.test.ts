import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SubscribePresenceResponseSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import { SeenUsers } from "../../../src/fanout/seen_users.js";
import { MAX_CHUNK_BYTES, SharedSnapshot } from "../../../src/fanout/snapshot.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { property } from "../../support/property.js";

/** The longest names that there may be, so that what is round the users is as large as it gets. */
const codec = eventCodec.forChannel({ type: 2, name: "n".repeat(128) }, "e".repeat(64));

/** All chunks of a snapshot of users whose states are about so large. */
function chunksOf(sizes: readonly number[]) {
  const seen = new SeenUsers();
  sizes.forEach((size, i) => {
    const state = { userId: `user ${i}`, states: { value: "x".repeat(size) }, revision: 2 ** 53 - 1 };
    seen.put({ ...state, updateTime: 1e13, joinTime: 1e13 });
  });
  const revision = 2 ** 53 - 1;
  const maxChunkBytes = MAX_CHUNK_BYTES;
  const snapshot = new SharedSnapshot({
    codec,
    eventCodec,
    occupancy: seen.size,
    users: seen.forSnapshot(),
    revision,
    time: 1e13,
    maxChunkBytes,
  });
  while (!snapshot.isComplete) snapshot.build();
  const pieces: Uint8Array[] = [];
  for (let chunk = snapshot.chunk(0); chunk; chunk = snapshot.chunk(pieces.length)) {
    pieces.push(Buffer.concat(chunk.parts));
    assert.equal(pieces.at(-1)!.length, chunk.length);
  }
  const bodies = pieces.map((piece) => {
    const { events } = fromBinary(SubscribePresenceResponseSchema, piece);
    assert.equal(events.length, 1);
    const [{ event, position }] = events as [(typeof events)[0]];
    assert.equal(event.case, "snapshot");
    assert.equal(position?.revision, 2n ** 53n - 1n);
    return event.value as Extract<typeof event, { case: "snapshot" }>["value"];
  });
  return { pieces, bodies };
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
});
