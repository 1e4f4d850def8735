import assert from "node:assert/strict";
import { FakeSink } from "./fake_sink.js";
import { Stage } from "./stage.js";

const TIMEOUT = 60_000;

describe("fanout: readers that read nothing (S16a)", () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage({ maxBacklogBytes: 500, laggingTimeoutMs: TIMEOUT });
    stage.join("ann");
    stage.join("bob");
  });

  /** A reader that has read its first events and now reads no more. */
  function stalled() {
    const stalled = stage.subscribe("ann");
    stage.flush();
    stalled.sink.stall();
    stage.set("bob", { at: "0" });
    stage.flush();
    assert.equal(stalled.reader.state, "lagging");
    return stalled;
  }

  function assertGivenUp({ sink, reader }: ReturnType<typeof stalled>): void {
    assert.equal(reader.state, "closed");
    assert.equal(sink.ended?.aborted, true);
    const { reason, metadata, retryAfterMs } = sink.ended.error!;
    assert.equal(reason, "SUBSCRIBER_TOO_SLOW");
    assert.deepEqual(metadata, { lagging_timeout: "60s" });
    assert.ok(retryAfterMs! > 0);
    assert.deepEqual(stage.dropped, [reader]);
    assert.deepEqual(stage.hub.stats().readers, { live: 0, lagging: 0, resyncing: 0 });
  }

  it("ends a reader that never drains, and reports it once", () => {
    const slow = stalled();
    stage.clock.advance(TIMEOUT - 1);
    assert.equal(slow.reader.state, "lagging");
    stage.set("bob", { at: "1" });
    stage.flush();
    stage.clock.advance(1);
    assertGivenUp(slow);
    stage.clock.advance(10 * TIMEOUT);
    assert.equal(stage.dropped.length, 1);
  });

  it("does not give it more time because too much is waiting for it", () => {
    const slow = stalled();
    stage.clock.advance(TIMEOUT - 1);
    for (let i = 0; i < 20; i++) stage.join(`user ${i}`);
    stage.flush();
    assert.equal(slow.reader.state, "resyncing");
    stage.clock.advance(1);
    assertGivenUp(slow);
  });

  it("ends one that takes a part of its snapshot and then nothing", () => {
    for (let i = 0; i < 40; i++) stage.join(`user ${i}`, { big: "x".repeat(16_000) });
    const sink = new FakeSink();
    sink.stall();
    const slow = stage.subscribe("ann", { sink });
    stage.flush();
    stage.clock.advance(TIMEOUT - 1);
    sink.drain(1);
    assert.equal(slow.reader.state, "resyncing");
    stage.clock.advance(TIMEOUT - 1);
    assert.equal(slow.reader.state, "resyncing");
    stage.clock.advance(1);
    assertGivenUp(slow);
  });

  it("leaves alone one that takes a little at a time", () => {
    const { sink, reader } = stalled();
    for (let i = 1; i < 20; i++) {
      stage.set("bob", { at: String(i) });
      stage.flush();
      stage.clock.advance(TIMEOUT - 1);
      sink.drain(1);
      assert.equal(reader.state, "lagging");
    }
    assert.deepEqual(stage.dropped, []);
  });

  it("leaves alone one that has caught up, however quiet the channel is", () => {
    const { sink, reader } = stalled();
    stage.clock.advance(TIMEOUT - 1);
    sink.drain();
    assert.equal(reader.state, "live");
    stage.clock.advance(10 * TIMEOUT);
    assert.equal(reader.state, "live");
  });

  it("leaves alone one whose stream was over before", () => {
    const { reader } = stalled();
    reader.detach();
    stage.clock.advance(10 * TIMEOUT);
    assert.deepEqual(stage.dropped, []);
    assert.equal(stage.clock.pending, 0);
  });
});
