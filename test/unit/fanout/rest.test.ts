import assert from "node:assert/strict";
import { FakeSink } from "./fake_sink.js";
import { Stage } from "./stage.js";

/** How long a flush to the one reader of these tests takes, in ms: its sink lets the clock go on. */
const FLUSH_MS = 5;
/** How long the rest after it is, in ms. */
const REST_MS = 4 * FLUSH_MS;

describe("fanout: the rest after a flush", () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
    stage.join("ann");
    stage.join("bob");
  });

  /** A reader whose sink takes its time. */
  function slowToWrite(flushMs: number) {
    const { sink } = stage.subscribe("ann");
    const write = sink.write.bind(sink);
    sink.write = (message) => {
      stage.clock.advance(flushMs);
      return write(message);
    };
    stage.flush();
    sink.take();
    return sink;
  }

  it("is four times as long as the flush took; what happens meanwhile goes out together", () => {
    const sink = slowToWrite(FLUSH_MS);
    stage.set("bob", { n: "1" });
    stage.set("bob", { n: "2" });
    assert.equal(stage.flush(), false, "nothing is flushed while it rests");
    stage.clock.advance(REST_MS - 1);
    assert.equal(stage.flush(), false);
    stage.clock.advance(1);
    assert.equal(stage.flush(), true);
    assert.deepEqual(sink.told(), ["state bob 3 n=1", "state bob 4 n=2"]);
    assert.equal(sink.sizes.length, 2);
  });

  it("follows every flush, and loses nothing of what happens in any of them", () => {
    const sink = slowToWrite(FLUSH_MS);
    for (const n of ["1", "2", "3"]) {
      stage.set("bob", { n });
      assert.equal(stage.flush(), false);
      stage.clock.advance(REST_MS);
      assert.equal(stage.flush(), true);
    }
    assert.deepEqual(sink.told(), ["state bob 3 n=1", "state bob 4 n=2", "state bob 5 n=3"]);
    assert.equal(stage.clock.pending, 0);
  });

  it("keeps a new reader waiting no longer than the others, and is nobody's when all have gone", () => {
    slowToWrite(FLUSH_MS);
    const late = stage.subscribe("bob");
    const gone = stage.subscribe("bob");
    gone.reader.detach();
    assert.equal(stage.flush(), false);
    stage.clock.advance(REST_MS);
    stage.flush();
    assert.deepEqual(late.sink.told(), ["SUBSCRIBED 2", "SNAPSHOT 2 ann bob"]);
    assert.deepEqual(gone.sink.told(), []);
  });

  it("is over before the next event where events are rare", () => {
    const sink = slowToWrite(FLUSH_MS);
    stage.clock.advance(REST_MS);
    stage.set("bob", { n: "1" });
    assert.equal(stage.flush(), true);
    assert.deepEqual(sink.told(), ["state bob 3 n=1"]);
  });

  it("is none where a flush takes no time worth a timer", () => {
    const sink = slowToWrite(0.2);
    stage.set("bob", { n: "1" });
    assert.equal(stage.flush(), true);
    assert.deepEqual(sink.told(), ["state bob 3 n=1"]);
  });

  it("is never longer than 50 ms", () => {
    slowToWrite(1000);
    stage.set("bob", { n: "1" });
    stage.clock.advance(50);
    assert.equal(stage.flush(), true);
  });

  it("leaves other channels alone", () => {
    slowToWrite(FLUSH_MS);
    const sink = new FakeSink();
    const terms = { userId: "ann", sessionId: "s", presenceTimeoutMs: 0, resumed: false, occupancy: 0, heartbeatMs: 0 };
    const options = { userId: "zoe", includeSelf: false, terms, revision: 0, time: 0, missed: undefined };
    stage.hub.subscribe({ type: 2, name: "elsewhere" }, options, sink);
    assert.equal(stage.flush(), true);
    assert.equal(sink.told()[0], "SUBSCRIBED 0");
  });
});
