import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SnapshotSchema } from "../../../gen/presence/v1/presence_pb.js";
import { type Seen, SeenUsers } from "../../../src/fanout/seen_users.js";
import { SEGMENT_USERS, type SnapshotUsers } from "../../../src/fanout/snapshot_users.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { property } from "../../support/property.js";

const stateOf = (userId: string, revision: number) => ({
  userId,
  states: { n: String(revision) },
  revision,
  updateTime: undefined,
  joinTime: undefined,
});

/** What a snapshot of them says: ids with revisions, sorted. */
function said(users: readonly SnapshotUsers[]): string[] {
  return users
    .flatMap((some) => some.bodies(eventCodec, 1000))
    .flatMap((body) => fromBinary(SnapshotSchema, body).users)
    .map(({ userId, revision }) => `${userId} ${revision}`)
    .sort();
}

const unencoded = (users: readonly SnapshotUsers[]) => users.reduce((sum, some) => sum + some.unencoded, 0);

describe("fanout: who is present, as readers are to see them", () => {
  /** Many come, change or go at a time, so that channels grow over some segments, and shrink again. */
  const step = fc.record({
    kind: fc.constantFrom("put" as const, "put" as const, "delete" as const),
    from: fc.nat(4 * SEGMENT_USERS),
    count: fc.nat(2 * SEGMENT_USERS),
    stride: fc.constantFrom(1, 1, 2, 7),
    look: fc.boolean(),
  });

  property(
    "holds what a plain map would, and a snapshot stays as it was taken",
    [fc.array(step, { maxLength: 25, size: "max" })],
    (steps) => {
      const seen = new SeenUsers();
      const plain = new Map<string, number>();
      const taken: { readonly users: readonly SnapshotUsers[]; readonly is: string[] }[] = [];
      let revision = 0;
      for (const { kind, from, count, stride, look } of steps) {
        for (let i = 0; i < count; i++) {
          const userId = `user ${from + i * stride}`;
          revision += 1;
          if (kind === "put") {
            seen.put(stateOf(userId, revision));
            plain.set(userId, revision);
          } else {
            seen.delete(userId);
            plain.delete(userId);
          }
        }
        assert.equal(seen.size, plain.size);
        const users = seen.forSnapshot();
        const is = [...plain].map(([userId, revision]) => `${userId} ${revision}`).sort();
        if (look) assert.deepEqual(said(users), is);
        taken.push({ users, is });
      }
      for (const { users, is } of taken) assert.deepEqual(said(users), is);
      const ids = [...plain.keys(), "nobody"];
      assert.deepEqual(
        ids.map((userId) => seen.get(userId)?.state.revision),
        ids.map((userId) => plain.get(userId)),
      );
    },
    { runs: 60 },
  );

  function fill(users: number): SeenUsers {
    const seen = new SeenUsers();
    for (let i = 0; i < users; i++) seen.put(stateOf(`user ${i}`, 1));
    return seen;
  }

  it("encodes a large channel once, and after a change no more than one segment", () => {
    const seen = fill(10 * SEGMENT_USERS);
    assert.equal(unencoded(seen.forSnapshot()), 10 * SEGMENT_USERS);
    said(seen.forSnapshot());
    assert.equal(unencoded(seen.forSnapshot()), 0);
    for (const change of [
      () => seen.put(stateOf("user 700", 2)),
      () => seen.put(stateOf("new", 2)),
      () => seen.delete("user 5"),
      () => seen.delete("new"),
    ]) {
      change();
      const left = unencoded(seen.forSnapshot());
      assert.ok(left <= SEGMENT_USERS, `${left} users to encode`);
      said(seen.forSnapshot());
    }
  });

  it("does not keep each user's bytes beside those of its segment", () => {
    const seen = fill(3 * SEGMENT_USERS);
    const user = seen.get("user 0") as Seen;
    user.bytes = eventCodec.state(user.state);
    said(seen.forSnapshot());
    assert.equal(user.bytes, undefined);
  });

  it("gathers the remains of a channel that shrank", () => {
    const seen = fill(40 * SEGMENT_USERS);
    for (let i = 0; i < 40 * SEGMENT_USERS; i++) if (i % 20 !== 0) seen.delete(`user ${i}`);
    assert.equal(seen.size, 2 * SEGMENT_USERS);
    const segments = seen.forSnapshot().length;
    assert.ok(segments <= 8, `${segments} segments`);
  });

  it("does not grow when one user comes and goes for ever", () => {
    const seen = fill(2 * SEGMENT_USERS);
    for (let i = 0; i < 20 * SEGMENT_USERS; i++) {
      seen.put(stateOf("guest", i));
      seen.delete("guest");
    }
    const segments = seen.forSnapshot().length;
    assert.ok(segments <= 4, `${segments} segments`);
  });
});
