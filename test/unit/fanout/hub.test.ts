import assert from "node:assert/strict";
import { FakeSink } from "./fake_sink.js";
import { ROOM, Stage } from "./stage.js";

describe("fanout: the hub", () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
    stage.join("ann");
  });

  /** A reader that has got its first events. */
  function opened(userId = "ann", options = {}) {
    const opened = stage.subscribe(userId, options);
    stage.flush();
    opened.sink.take();
    return opened;
  }

  it("S15 opens a stream with SUBSCRIBED and SNAPSHOT, in one message, with the next flush", () => {
    stage.join("bob", { mood: "fine" });
    const { sink, reader } = stage.subscribe("ann");
    assert.deepEqual(sink.told(), []);
    assert.equal(reader.state, "resyncing");
    stage.flush();
    assert.equal(sink.sizes.length, 1);
    assert.deepEqual(sink.told(), ["SUBSCRIBED 3", "SNAPSHOT 3 ann bob mood=fine"]);
    assert.equal(reader.state, "live");
  });

  it("S15 tells SUBSCRIBED at the join, and SNAPSHOT as it is when it is written", () => {
    const { sink } = stage.subscribe("ann");
    stage.join("bob");
    stage.flush();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 1", "SNAPSHOT 2 ann bob"]);
  });

  it("tells everything that happened in one turn in one message", () => {
    const { sink } = opened();
    const before = sink.sizes.length;
    stage.join("bob", { mood: "fine" });
    stage.set("bob", { mood: "tired" });
    stage.leave("bob");
    assert.deepEqual(sink.told(), []);
    stage.flush();
    assert.equal(sink.sizes.length - before, 1);
    assert.deepEqual(sink.told(), ["join bob 2", "state bob 3 mood=fine", "state bob 4 mood=tired", "leave bob 5"]);
    assert.equal(stage.flush(), false);
  });

  it("S6 tells nobody its own user's events, unless it asked for them", () => {
    stage.join("bob");
    const ann = opened("ann");
    const alsoAnn = opened("ann");
    const curious = opened("ann", { includeSelf: true });
    const bob = opened("bob");
    stage.set("ann", { a: "1" });
    stage.set("bob", { b: "1" });
    stage.flush();
    assert.deepEqual(ann.sink.told(), ["state bob 4 b=1"]);
    assert.deepEqual(alsoAnn.sink.told(), ["state bob 4 b=1"]);
    assert.deepEqual(curious.sink.told(), ["state ann 3 a=1", "state bob 4 b=1"]);
    assert.deepEqual(bob.sink.told(), ["state ann 3 a=1"]);
    stage.set("ann", { a: "2" });
    stage.flush();
    assert.equal(ann.sink.sizes.length, 2, "an empty message");
  });

  it("S16 tells a reader that resumes what it missed, and nothing else", () => {
    const { position } = stage.join("bob");
    stage.set("bob", { b: "1" });
    stage.set("ann", { a: "1" });
    stage.leave("bob");
    const { sink } = stage.subscribe("ann", { resumeFrom: position });
    stage.set("ann", { a: "2" });
    stage.join("cid");
    stage.flush();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 2", "state bob 3 b=1", "leave bob 5", "join cid 7"]);
  });

  it("S16 tells a reader that resumes and missed nothing just that", () => {
    const { position } = stage.join("bob");
    const { sink, reader } = stage.subscribe("ann", { resumeFrom: position });
    stage.flush();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 2"]);
    assert.equal(reader.state, "live");
  });

  it("S16 gives a SNAPSHOT to a reader that resumes from what is not remembered", () => {
    const { position } = stage.join("bob");
    for (const resumeFrom of [
      { ...position, epoch: "another" },
      { ...position, revision: 99 },
    ]) {
      const { sink } = stage.subscribe("ann", { resumeFrom });
      stage.flush();
      assert.deepEqual(sink.told(), ["SUBSCRIBED 2", "SNAPSHOT 2 ann bob"]);
    }
  });

  it("S16a gives a slow reader what it missed, collapsed, in one message, and holds up nobody else", () => {
    const slow = opened();
    const quick = opened();
    slow.sink.stall();
    stage.join("bob");
    stage.flush();
    assert.equal(slow.reader.state, "lagging");
    assert.deepEqual(slow.sink.told(), ["join bob 2"]);
    for (const value of ["1", "2", "3"]) {
      stage.set("bob", { at: value });
      stage.flush();
    }
    stage.join("cid");
    stage.leave("cid");
    stage.flush();
    assert.deepEqual(slow.sink.told(), []);
    assert.equal(quick.sink.told().length, 6);
    slow.sink.drain();
    assert.equal(slow.reader.state, "live");
    assert.deepEqual(slow.sink.told(), ["state bob 7 at=3"]);
    stage.leave("bob");
    stage.flush();
    assert.deepEqual(slow.sink.told(), ["leave bob 8"]);
  });

  it("S16a gives a fresh SNAPSHOT to a reader for which too much is waiting", () => {
    stage = new Stage({ maxBacklogBytes: 500 });
    stage.join("ann");
    const { sink, reader } = opened();
    sink.stall();
    for (let i = 0; i < 20; i++) {
      stage.join(`user ${i}`);
      stage.flush();
    }
    assert.equal(reader.state, "resyncing");
    assert.equal(sink.sizes.length, 2);
    sink.take();
    sink.drain();
    assert.deepEqual(sink.told(), []);
    stage.leave("user 7");
    stage.flush();
    const users = [...Array(20).keys()].filter((i) => i !== 7).map((i) => `user ${i}`);
    assert.deepEqual(sink.told(), [`SNAPSHOT 22 ann ${users.join(" ")}`]);
    assert.equal(reader.state, "live");
  });

  it("S15 S16a writes a large SNAPSHOT chunk by chunk as the reader reads, and what happened since behind it", () => {
    for (let i = 0; i < 40; i++) stage.join(`user ${i}`, { big: "x".repeat(16_000) });
    const sink = new FakeSink();
    // SUBSCRIBED is not copied into a large chunk.
    sink.stall(2);
    const { reader } = stage.subscribe("ann", { sink });
    stage.flush();
    assert.deepEqual(
      sink.take().map(({ event }) => event.case),
      ["subscribed", "snapshot"],
    );
    stage.leave("user 0");
    stage.set("user 39", { big: "" });
    stage.settle();
    assert.deepEqual(sink.told(), []);
    sink.drain(1);
    assert.equal(sink.take().length, 1);
    assert.equal(reader.state, "resyncing");
    sink.drain();
    const rest = sink.take();
    assert.deepEqual(
      rest.map(({ event, position }) => [event.case, position!.revision]),
      [
        ["snapshot", 81n],
        ["remoteLeave", 82n],
        ["remoteStateChanged", 83n],
      ],
    );
    assert.equal(reader.state, "live");
    for (const size of sink.sizes) assert.ok(size <= 256 * 1024);
  });

  it("S16a follows a large SNAPSHOT by another one where too much happened while it was being read", () => {
    stage = new Stage({ maxBacklogBytes: 300 });
    stage.join("ann");
    for (let i = 0; i < 40; i++) stage.join(`user ${i}`, { big: "x".repeat(16_000) });
    const sink = new FakeSink();
    sink.stall(2);
    const { reader } = stage.subscribe("ann", { sink });
    stage.flush();
    for (let i = 0; i < 40; i++) stage.leave(`user ${i}`);
    stage.settle();
    sink.take();
    sink.drain();
    assert.equal(reader.state, "resyncing");
    assert.deepEqual(
      sink.take().map(({ event }) => event.case),
      ["snapshot", "snapshot"],
    );
    stage.flush();
    assert.deepEqual(sink.told(), ["SNAPSHOT 121 ann"]);
    assert.equal(reader.state, "live");
  });

  it("writes nothing to a stream that is over, and forgets a channel without readers", () => {
    const ended = opened();
    const gone = opened();
    assert.deepEqual(stage.hub.stats().readers, { live: 2, lagging: 0, resyncing: 0 });
    assert.equal(stage.hub.stats().channels, 1);
    stage.join("bob");
    ended.reader.end(undefined);
    ended.reader.end(undefined);
    gone.reader.detach();
    gone.reader.abort(new Error("not called") as never);
    stage.flush();
    assert.deepEqual(ended.sink.ended, { error: undefined, aborted: false });
    assert.equal(gone.sink.ended, undefined);
    assert.deepEqual([...ended.sink.told(), ...gone.sink.told()], []);
    gone.sink.drainForNothing();
    assert.deepEqual(stage.hub.stats().readers, { live: 0, lagging: 0, resyncing: 0 });
    assert.equal(stage.hub.stats().channels, 0);
    stage.leave("ann");
    stage.leave("bob");
    stage.clock.advance(60_000);
    assert.equal(stage.engine.stats().channels, 0, "the hub still watches");
  });

  it("forgets a reader that is gone before the first flush", () => {
    const { reader, sink } = stage.subscribe("ann");
    reader.detach();
    stage.flush();
    assert.deepEqual(sink.told(), []);
    assert.deepEqual(stage.hub.stats().readers, { live: 0, lagging: 0, resyncing: 0 });
  });

  it("counts an event once for each reader that it was written to", () => {
    stage.join("bob");
    opened("ann");
    opened("ann");
    opened("bob");
    const before = stage.hub.stats().delivered;
    stage.set("bob", { b: "1" });
    stage.join("cid");
    stage.flush();
    assert.equal(stage.hub.stats().delivered - before, 5);
  });

  it("counts what a slow reader, or one that resumes, is told", () => {
    const { position } = stage.join("bob");
    const slow = opened("ann");
    slow.sink.stall();
    const before = stage.hub.stats().delivered;
    for (const value of ["1", "2", "3"]) {
      stage.set("bob", { b: value });
      stage.flush();
    }
    slow.sink.drain();
    assert.equal(stage.hub.stats().delivered - before, 2);
    stage.subscribe("ann", { resumeFrom: position });
    stage.flush();
    assert.equal(stage.hub.stats().delivered - before, 5);
  });

  it("keeps channels apart", () => {
    const { sink } = opened();
    const read = stage.engine.read({ type: 2, name: ROOM.name }, "bob");
    const session = { kind: "lease" as const, id: "lease", quiet: false as const, ttlMs: 1000, deadline: 1000 };
    const outcome = {
      sessions: [session],
      pending: undefined,
      lingersUntil: undefined,
      changes: [{ kind: "join" as const }],
      ended: [],
      joined: { session, resumed: false },
      entries: [],
      unchanged: false,
    };
    stage.engine.commit({ channel: { type: 2, name: ROOM.name }, read, outcome, wall: 0, dependsOnElsewhere: false });
    stage.flush();
    assert.deepEqual(sink.told(), []);
  });
});
