import assert from "node:assert/strict";
import fc from "fast-check";
import { PendingInterval } from "../../../src/fanout/pending_interval.js";
import type { States } from "../../../src/model/user_state.js";
import { property } from "../../support/property.js";
import { DeltaMaker, doings } from "./deltas.js";

describe("fanout: what waits for an interval's end (S18)", () => {
  property(
    "comes, applied as the contract says, to where the channel is, for whoever knew any part of it",
    [doings, fc.nat(59)],
    (doings, known) => {
      const channel = new DeltaMaker();
      const pending = new PendingInterval();
      const views = [new Map(channel.present)];
      for (const { kind, userId, states } of doings) {
        const delta = channel.make(kind, userId, states);
        if (!delta) continue;
        pending.add(delta);
        views.push(new Map(channel.present));
      }
      const from = known % views.length;
      const view = new Map<string, States>(views[from]);
      const net = pending.netAfter(from);
      for (const userId of [...(net?.left ?? []), ...(net?.timedOut ?? [])]) {
        assert.ok(view.delete(userId), `${userId} went without having been there`);
      }
      for (const userId of net?.joined ?? []) {
        assert.ok(!view.has(userId), `${userId} came twice`);
        view.set(userId, {});
      }
      for (const { userId, states } of net?.changed ?? []) {
        assert.ok(view.has(userId), `${userId} changed without being there`);
        view.set(userId, states);
      }
      assert.deepEqual(view, channel.present);
      if (net) assert.deepEqual([net.revision, net.occupancy], [channel.revision, channel.present.size]);
      assert.deepEqual(pending.netAfter(from), net, "asking changes nothing");
    },
    { runs: 1000 },
  );

  it("tells nobody of a user who came and went", () => {
    const channel = new DeltaMaker();
    const pending = new PendingInterval();
    for (const kind of ["join", "state", "leave"] as const) pending.add(channel.make(kind, "ann", { a: "1" })!);
    assert.equal(pending.netAfter(0), undefined);
    assert.deepEqual(pending.netAfter(1)?.left, ["ann"]);
    assert.equal(pending.netAfter(3), undefined);
  });

  it("is full before it is more than a client takes in one message", () => {
    const channel = new DeltaMaker();
    const pending = new PendingInterval();
    const states = { big: "x".repeat(16_000) };
    let users = 0;
    for (; !pending.isFull; users++) {
      pending.add(channel.make("join", `user ${users}`)!);
      pending.add(channel.make("state", `user ${users}`, states)!);
    }
    assert.ok(users > 40 && users < 80, `${users} users of 16 KB`);
  });

  it("is full when very many changes come to little", () => {
    const channel = new DeltaMaker();
    const pending = new PendingInterval();
    pending.add(channel.make("join", "ann")!);
    let changes = 1;
    for (; !pending.isFull; changes++) pending.add(channel.make("state", "ann", { n: String(changes) })!);
    assert.equal(changes, 20_000);
    assert.equal(pending.netAfter(0)?.changed.length, 1);
  });
});
