import assert from "node:assert/strict";
import fc from "fast-check";
import { Backlog } from "../../../src/fanout/backlog.js";
import type { Delta, StateDelta } from "../../../src/model/delta.js";
import type { States } from "../../../src/model/user_state.js";
import { property } from "../../support/property.js";
import { DeltaMaker, doings } from "./deltas.js";

/** A revision as large as a server's. */
const LARGE = 13_900_000_000_000;

/** What a client holds; throws where an event makes no sense to it. */
class View {
  revision = 0;
  readonly users = new Map<string, States>();

  apply(delta: Delta): void {
    assert.ok(delta.revision > this.revision, `ordered, unique: ${delta.revision} after ${this.revision}`);
    this.revision = delta.revision;
    assert.equal(this.users.has(delta.userId), delta.kind !== "join", `alternating: ${delta.kind} of ${delta.userId}`);
    if (delta.kind === "join") this.users.set(delta.userId, {});
    else if (delta.kind === "state") this.users.set(delta.userId, delta.state.states);
    else this.users.delete(delta.userId);
  }
}

const drains = fc.array(fc.nat(20), { maxLength: 10 });

describe("fanout: the backlog of a slow reader, as a property", () => {
  property(
    "S16 S16a what is left is ordered, unique, alternating and convergent, wherever the reader drains",
    [doings, drains],
    (doings, drains) => {
      const channel = new DeltaMaker(LARGE);
      const backlog = new Backlog();
      const view = new View();
      const waits = [...drains];
      let left = waits.pop() ?? Number.POSITIVE_INFINITY;
      const drain = (): void => {
        const deltas = backlog.drain();
        for (const delta of deltas) view.apply(delta);
        assert.deepEqual(view.users, channel.present);
        const last = deltas.at(-1);
        if (last) assert.deepEqual([last.revision, last.occupancy], [channel.revision, channel.present.size]);
        assert.deepEqual([backlog.size, backlog.bytes], [0, 0]);
      };
      for (const { kind, userId, states } of doings) {
        const delta = channel.make(kind, userId, states);
        if (!delta) continue;
        backlog.add(delta, 10);
        if (left-- > 0) continue;
        drain();
        left = waits.pop() ?? Number.POSITIVE_INFINITY;
      }
      drain();
    },
    { runs: 1000 },
  );

  property("S16a holds at most a departure, a join and a state of a user", [doings], (doings) => {
    const channel = new DeltaMaker(LARGE);
    const backlog = new Backlog();
    let users = 0;
    for (const { kind, userId, states } of doings) {
      const delta = channel.make(kind, userId, states);
      if (!delta) continue;
      backlog.add(delta, 1000);
      users = new Set(channel.log.map((delta) => delta.userId)).size;
      assert.ok(backlog.size <= users);
      assert.ok(backlog.bytes <= users * 3100, `${backlog.bytes} bytes of ${users} users`);
      assert.ok(backlog.bytes >= backlog.size * 1000);
    }
  });

  property("S11 a change that stands for several names every key that any of them touched", [doings], (doings) => {
    const channel = new DeltaMaker(LARGE);
    const backlog = new Backlog();
    const known = channel.make("join", "ann")!;
    for (const { kind, states } of doings) {
      const delta = kind === "state" ? channel.make(kind, "ann", states) : undefined;
      if (delta) backlog.add(delta, 10);
    }
    const told = backlog.drain() as StateDelta[];
    const happened = channel.log.filter((delta) => delta !== known) as StateDelta[];
    if (happened.length === 0) return;
    assert.equal(told.length, 1);
    const touched = new Set(happened.flatMap(({ changedKeys, removedKeys }) => [...changedKeys, ...removedKeys]));
    const { changedKeys, removedKeys, state } = told[0]!;
    assert.deepEqual([...changedKeys, ...removedKeys].sort(), [...touched].sort());
    for (const key of changedKeys) assert.ok(key in state.states);
    for (const key of removedKeys) assert.ok(!(key in state.states));
    assert.deepEqual([...changedKeys].sort(), changedKeys);
    assert.deepEqual([...removedKeys].sort(), removedKeys);
  });
});
