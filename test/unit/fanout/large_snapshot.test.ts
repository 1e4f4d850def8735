import assert from "node:assert/strict";
import type { FakeSink } from "./fake_sink.js";
import { Stage } from "./stage.js";

/** Channels that take several turns to be taken in and to be put into a SNAPSHOT (S15). */
describe("fanout: a snapshot of several turns", () => {
  let stage: Stage;

  function start(users: number): void {
    stage = new Stage({ paceOf: () => ({ announceMax: 1_000_000, intervalMs: 1000 }) });
    for (let i = 0; i < users; i++) stage.join(`user ${i}`);
  }

  /** What a reader was told: kinds, revisions, and the number of users in each chunk. */
  function told(sink: FakeSink) {
    return sink.take().map(({ event, position }) => {
      const users = event.case === "snapshot" ? [event.value.users.length, event.value.last] : [];
      return [event.case, Number(position!.revision), ...users];
    });
  }

  it("begins the stream before the first chunk is built, and is as of one position, whatever happens meanwhile", () => {
    start(1200);
    const { sink, reader } = stage.subscribe("user 0");
    stage.flush();
    assert.deepEqual(told(sink), [["subscribed", 1200]]);
    stage.leave("user 1199");
    stage.set("user 1", { n: "1" });
    stage.flush();
    assert.deepEqual(told(sink), []);
    stage.settle();
    assert.deepEqual(told(sink), [
      ["snapshot", 1200, 1200, true],
      ["remoteLeave", 1201],
      ["remoteStateChanged", 1202],
    ]);
    assert.equal(reader.state, "live");
  });

  it("is followed by another one for those who come while it is built", () => {
    start(1200);
    const first = stage.subscribe("user 0");
    stage.flush();
    stage.join("late");
    const late = stage.subscribe("late");
    const later = stage.subscribe("late");
    stage.settle();
    assert.deepEqual(told(first.sink).slice(1), [
      ["snapshot", 1200, 1200, true],
      ["remoteJoin", 1201],
    ]);
    for (const { sink } of [late, later]) {
      assert.deepEqual(told(sink), [
        ["subscribed", 1201],
        ["snapshot", 1201, 1201, true],
      ]);
    }
  });

  it("is not built on when nobody is left to read it", () => {
    start(10_000);
    const { reader } = stage.subscribe("user 0");
    while (reader.opening) stage.flush();
    reader.detach();
    let turns = 0;
    while (stage.flush()) turns += 1;
    assert.ok(turns <= 2, `${turns} more turns`);
  });

  it("loses nothing that happens while a large channel is being taken in", () => {
    start(12_000);
    const { sink } = stage.subscribe("user 0");
    stage.leave("user 11999");
    stage.flush();
    stage.leave("user 1");
    stage.join("new");
    stage.settle();
    const events = told(sink);
    assert.deepEqual(events[0], ["subscribed", 12_000]);
    assert.deepEqual(
      new Set(events.slice(1).map(([kind, revision]) => `${kind} ${revision}`)),
      new Set(["snapshot 12003"]),
    );
    const users = events.slice(1).reduce((sum, [, , users]) => sum + Number(users), 0);
    assert.equal(users, 11_999);
  });

  it("does not go on taking in a channel whose readers have all gone", () => {
    start(12_000);
    const { reader } = stage.subscribe("user 0");
    reader.detach();
    let turns = 0;
    while (stage.flush()) turns += 1;
    assert.ok(turns <= 1, `${turns} more turns`);
    assert.equal(stage.hub.stats().channels, 0);
  });
});
